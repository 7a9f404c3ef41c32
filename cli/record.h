/* SPDX-License-Identifier: MIT */
/*
 * record.h - what a device was before "bind", kept in /run/vfio-p2p/BDF.json
 *
 * /run, because the binding itself does not outlive a reboot either.
 */
#ifndef RECORD_H
#define RECORD_H

/** struct record - the state that "unbind" brings back */
struct record {
	const char *driver;	/* NULL: none was bound */
	const char *override;	/* NULL: none was set */
};

/** record_save() - Return: 0 or -errno. */
int record_save(const char *bdf, const struct record *record);

/**
 * record_load()
 *
 * Return: 0, -ENOENT, -EBADMSG if it cannot be understood, or another negative
 * errno if it cannot be trusted: somebody else could have written it.
 */
int record_load(const char *bdf, struct record *record);

void record_remove(const char *bdf);

/** record_path() - for messages. */
const char *record_path(const char *bdf);

#endif /* RECORD_H */
