// SPDX-License-Identifier: MIT
/*
 * The public header stands alone: included first, twice, in strict C11 and (through
 * lib_header_cxx.cc) strict C++11, with every warning an error. Linked against the
 * shared library, it also uses one function of it.
 */
#include "vfio-p2p.h"
#include "vfio-p2p.h"

#include <stdio.h>

int main(void)
{
	struct vp2p_error err;
	struct vp2p_device *dev = NULL;
	char text[VP2P_ERROR_TEXT];
	int rc = vp2p_open("no address", 0, &dev, &err);

	vp2p_error_format(&err, text, sizeof(text));
	printf("# %s\n%sok 1 - the library answers\n1..1\n", text, rc < 0 ? "" : "not ");
	return rc == 0;
}
