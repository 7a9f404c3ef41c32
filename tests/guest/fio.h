/* SPDX-License-Identifier: MIT */
/* fio.h - fio with the engine vfio-p2p, and the page about it; with command.h */
#ifndef FIO_H
#define FIO_H

#include <stdbool.h>

#define ENGINE "/lib/fio-vfio-p2p.so"
#define PAGE "/doc/fio.md"
#define P2P "--ioengine=external:" ENGINE " --direct=1 --name=job"
#define KIB 1024u
#define MIB (1024u * KIB)

/** fio() - run it; its status */
int fio(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** fio_bind() - the target, with a window on all of BAR 2; fio_unbind() - undo it */
void fio_bind(void);
void fio_unbind(void);

/** on_page() - does docs/fio.md say that? */
bool on_page(const char *words);

#endif /* FIO_H */
