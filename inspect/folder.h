/* folder: where the workers' private temporary folders are: one folder a nursery, within it one a worker. */
#ifndef MAILREEVE_INSPECT_FOLDER_H
#define MAILREEVE_INSPECT_FOLDER_H

#include <stdbool.h>

enum { FOLDER_PATH_SIZE = 4096 };

struct folder {
	char path[FOLDER_PATH_SIZE - 16]; /* "": not open */
	int lock;                         /* held while the nursery lives */
	unsigned serial;
};

/* Makes the nursery's folder below parent, and removes those of nurseries that are no more. False: errno says why. */
bool folder_open(struct folder *folder, const char *parent);
void folder_close(struct folder *folder); /* removes it */

/* A new private folder for one worker. Where the nursery is root it belongs to the user whom its worker becomes. */
bool folder_make(struct folder *folder, char path_r[FOLDER_PATH_SIZE]);
/* What a dead worker left behind. */
void folder_remove(const char *path);

/* In the worker: lets go of what only the nursery holds. */
void folder_forget(struct folder *folder);

#endif
