/* SPDX-License-Identifier: MIT */
/*
 * text.h - strings that live as long as the process
 *
 * The tool runs for one command, so its strings are never freed one by one: they
 * come from one obstack.  Nothing that grows with the amount of data copied may
 * be allocated here.
 */
#ifndef TEXT_H
#define TEXT_H

#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

/** text() - printf into a new string; exits with a message if memory is out. */
char *text(const char *format, ...) __attribute__((format(printf, 1, 2)));

/** text_v() - the same as vprintf. */
char *text_v(const char *format, va_list args)
	__attribute__((format(printf, 1, 0)));

/**
 * text_printable() - @string with control characters as \xNN
 *
 * So a file's name cannot steer the terminal; bytes that are no UTF-8 count as
 * control characters.
 */
const char *text_printable(const char *string);

/** text_utf8() - @string with what is no UTF-8 replaced by U+FFFD. */
const char *text_utf8(const char *string);

/** text_list() - append @item to @list with a comma; @list may be NULL. */
char *text_list(const char *list, const char *item);

/**
 * text_mark() - for what is repeated without end: a mark, for text_release()
 *
 * Everything that comes of text(), keep() and their kin after it goes with
 * text_release(), and so does the mark.
 */
void *text_mark(void);
void text_release(void *mark);

/** text_no_memory() - end the process, as text() does when memory is out. */
_Noreturn void text_no_memory(void);

/** keep() - zeroed memory that lives as long as the process. */
void *keep(size_t size);

/** text_size() - exact: "64M", "1536K", "4097"; what parse_size() reads back. */
char *text_size(uint64_t bytes);

/** text_amount() - rounded for people: "1.5 GiB". */
char *text_amount(double bytes);

/** format_amount() - the same into a buffer, for what is printed repeatedly. */
void format_amount(char *string, size_t size, double bytes);

/** text_duration() - "850 us", "12.3 ms", "4.20 s", "3:05", "1:02:09". */
char *text_duration(double seconds);

#endif /* TEXT_H */
