// SPDX-License-Identifier: MIT
/* say.c - what the user reads */
#include <stdarg.h>

#include "engine.h"

int complain(struct thread_data *td, const struct vp2p_error *err)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;	/* guards last */
	static char last[VP2P_ERROR_TEXT];
	char text[VP2P_ERROR_TEXT];

	/* numjobs makes alike jobs, which fail alike. */
	vp2p_error_format(err, text, sizeof(text));
	pthread_mutex_lock(&lock);
	if (strcmp(text, last))
		log_err("vfio-p2p: %s\n", text);
	snprintf(last, sizeof(last), "%s", text);
	pthread_mutex_unlock(&lock);
	/* fio takes ENOENT for a file that it is about to create. */
	td_verror(td, err->code == ENOENT ? ENXIO : err->code, "vfio-p2p");
	return 1;
}

int refuse(struct vp2p_error *err, int code, const char *job, const char *remedy,
	   const char *cause, ...)
{
	va_list args;

	err->code = code;
	snprintf(err->device, sizeof(err->device), "job %s", job);
	snprintf(err->step, sizeof(err->step), "be started");
	snprintf(err->remedy, sizeof(err->remedy), "%s", remedy);
	va_start(args, cause);
	vsnprintf(err->cause, sizeof(err->cause), cause, args);
	va_end(args);
	return -code;
}

void remark(const char *format, ...)
{
	char text[512];
	va_list args;

	if (!(output_format & FIO_OUTPUT_NORMAL))
		return;
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	log_info("vfio-p2p: %s\n", text);
}

char *details(struct io_u *io_u)
{
	switch (io_u->error) {
	case EFAULT:
		return strdup("vfio-p2p: the window's pages could not be used: a reset of the device "
			      "was under way (on_reset=wait repeats what meets one), or its memory "
			      "is switched off; see: vfio-p2p status");
	case EREMOTEIO:
	case EINVAL:
	case EOPNOTSUPP:
		return strdup("vfio-p2p: a layer below the file refuses peer-to-peer DMA, or an "
			      "alignment is wrong; see: vfio-p2p doctor");
	case ETIMEDOUT:
		return strdup("vfio-p2p: the device did not come back within reset_timeout");
	case ENODEV:
		return strdup("vfio-p2p: the device, or the disk, has gone");
	}
	return strdup("vfio-p2p: this is the disk's answer, not the window's");
}
