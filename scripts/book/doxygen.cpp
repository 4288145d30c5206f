# The reference of the C++ binding, from the comments of its headers.
PROJECT_NAME           = "Stent: C++"
INPUT                  = bindings/cpp/include
FILE_PATTERNS          = *.hpp
RECURSIVE              = YES
OUTPUT_DIRECTORY       = $(BOOK_REFERENCE)/cpp
HTML_OUTPUT            = .
# The headers' comments are plain ones: those that stand alone on their lines are documentation.
INPUT_FILTER           = "sed -e 's|^\( *\)// |\1/// |' -e 's|^\( *\)//$|\1///|' -e '1i /** @file */'"
FILTER_SOURCE_FILES    = NO
EXTRACT_ALL            = YES
EXCLUDE_SYMBOLS        = stent::detail stent::detail::*
JAVADOC_AUTOBRIEF      = YES
BUILTIN_STL_SUPPORT    = YES
FULL_PATH_NAMES        = YES
STRIP_FROM_PATH        = bindings/cpp/include
GENERATE_LATEX         = NO
HAVE_DOT               = NO
QUIET                  = YES
# Doxygen 1.9 takes `template <class T>` in code for a tag.
WARN_IF_DOC_ERROR      = NO
WARN_NO_PARAMDOC       = NO
MACRO_EXPANSION        = YES
GENERATE_TREEVIEW      = YES
DISABLE_INDEX          = YES
SORT_MEMBER_DOCS       = NO
