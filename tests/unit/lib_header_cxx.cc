// SPDX-License-Identifier: MIT
/* The same in C++: see lib_header.c. */
#include "lib_header.c"
