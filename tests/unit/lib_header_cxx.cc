// SPDX-License-Identifier: MIT
/*
 * The same in C++, where the name of a structure is a type: see lib_header.c.
 *
 * Theory: a function of the same name would hide it.  So every structure that a
 * caller makes is named here without "struct", and the header stands -Wshadow,
 * which tells of functions that hide constructors.
 */
#pragma GCC diagnostic error "-Wshadow"

#include "lib_header.c"

int copy_nothing(vp2p_window *win);

int copy_nothing(vp2p_window *win)
{
	vp2p_copy_request request = vp2p_copy_request();
	vp2p_copy_result result = vp2p_copy_result();
	vp2p_error err = vp2p_error();
	vp2p_peer_info peer = vp2p_peer_info();
	vp2p_state state = vp2p_state();
	vp2p_bar bar = vp2p_bar();

	request.window = win;
	if (vp2p_bar_info(vp2p_window_device(win), 0, &bar, &err) ||
	    vp2p_get_state(vp2p_window_device(win), &state, &err) ||
	    vp2p_peer(vp2p_window_device(win), "0000:01:00.0", &peer, &err))
		return -err.code;
	return vp2p_copy(&request, &result, &err);
}
