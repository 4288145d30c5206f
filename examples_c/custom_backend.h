/* A store in memory, as a backend. */
#ifndef EXAMPLES_CUSTOM_BACKEND_H
#define EXAMPLES_CUSTOM_BACKEND_H

#include "stent.h"

/* An empty one, to be freed by stent_backend_free. What is in it goes with it. */
stent_status memory_backend_open(stent_backend **backend, stent_error **error);

#endif
