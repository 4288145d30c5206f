/* What cgo can't say: C functions that hand the library's callbacks to Go, and numbers as user_data. */
#ifndef STENT_GO_SHIM_H
#define STENT_GO_SHIM_H

#include "stent.h"

stent_status stent_go_register(stent_executor *executor, const char *function, const char *options, uintptr_t handler,
                               stent_error **error);
stent_status stent_go_register_batch(stent_executor *executor, const char *function, const char *options, const char *batch,
                                     uintptr_t handler, stent_error **error);
stent_status stent_go_set_log(const char *options, uintptr_t handler, stent_error **error);
stent_status stent_go_set_executor_log(stent_executor *executor, const char *options, uintptr_t handler, stent_error **error);

stent_status stent_go_custom(const char *operations, const char *options, uintptr_t function, stent_backend **backend,
                             stent_error **error);

#endif
