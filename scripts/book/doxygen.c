# The reference of the C API, from the comments of include/stent.h.
PROJECT_NAME           = "Stent: the C API"
INPUT                  = include/stent.h
OUTPUT_DIRECTORY       = $(BOOK_REFERENCE)/c
# Doxygen leaves out what stands in a file that it has not been told of.
INPUT_FILTER           = "sed -e '1s#^/\*$#/** @file#' -e 's/ #if/ \\#if/'"
FILTER_SOURCE_FILES    = NO
HTML_OUTPUT            = .
OPTIMIZE_OUTPUT_FOR_C  = YES
JAVADOC_AUTOBRIEF      = YES
MACRO_EXPANSION        = YES
EXPAND_ONLY_PREDEF     = YES
# Both are empty for a compiler that nobody names.
EXPAND_AS_DEFINED      = STENT_API STENT_NODISCARD
FULL_PATH_NAMES        = NO
SHOW_INCLUDE_FILES     = NO
GENERATE_LATEX         = NO
HAVE_DOT               = NO
QUIET                  = YES
WARN_AS_ERROR          = FAIL_ON_WARNINGS
EXTRACT_ALL            = YES
WARN_NO_PARAMDOC       = NO
DISABLE_INDEX          = YES
GENERATE_TREEVIEW      = YES
SORT_BRIEF_DOCS        = NO
SORT_MEMBER_DOCS       = NO
VERBATIM_HEADERS       = YES
