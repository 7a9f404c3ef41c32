// SPDX-License-Identifier: MIT
/* replay.c - a fuzzer without libFuzzer: the files of some folders, once each */
#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

#include "fuzz.h"

static int replay(const char *folder, const char *name)
{
	static uint8_t data[1 << 16];
	char path[4096];
	uint8_t *exact;
	size_t size;
	FILE *file;

	snprintf(path, sizeof(path), "%s/%s", folder, name);
	file = fopen(path, "re");
	if (!file)
		return -1;
	size = fread(data, 1, sizeof(data), file);
	fclose(file);
	/* Of its size, so that a byte read beyond it is noticed. */
	exact = malloc(size ? size : 1);
	memcpy(exact, data, size);
	LLVMFuzzerTestOneInput(exact, size);
	free(exact);
	return 0;
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int main(int argc, char **argv)
{
	int replayed = 0;

	for (int i = 1; i < argc; i++) {
		struct dirent **entries;
		int count = scandir(argv[i], &entries, visible, alphasort);

		for (int j = 0; j < count; j++) {
			if (replay(argv[i], entries[j]->d_name))
				return 1;
			replayed++;
			free(entries[j]);
		}
		if (count >= 0)
			free(entries);
	}
	printf("%d inputs\n", replayed);
	/* No input, no test. */
	return !replayed;
}
