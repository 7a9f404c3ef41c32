// SPDX-License-Identifier: MIT
/*
 * device.c - devices, opened once a process
 *
 * Forked jobs inherit them open.  What they then count down is their own copy; the
 * first process never counts down for them, and closes by ending.
 */
#include "engine.h"

/* Guards the list, the counts and the areas: threads come and go at their own time. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct device *devices;

static int open_locked(const char *bdf, struct device **out, struct vp2p_error *err)
{
	struct device *device = calloc(1, sizeof(*device));
	int rc;

	if (!device)
		return refuse(err, ENOMEM, bdf, "free some", "no memory");
	snprintf(device->bdf, sizeof(device->bdf), "%s", bdf);
	rc = vp2p_open(bdf, 0, &device->dev, err);
	if (rc) {
		free(device);
		return rc;
	}
	device->next = devices;
	devices = device;
	*out = device;
	return 0;
}

int device_get(const char *bdf, struct device **out, struct vp2p_error *err)
{
	char name[VP2P_BDF_LEN];
	struct device *device;
	int rc = vp2p_bdf_normalize(bdf, name, err);

	if (rc)
		return rc;
	pthread_mutex_lock(&lock);
	for (device = devices; device; device = device->next)
		if (!strcmp(device->bdf, name))
			break;
	if (!device)
		rc = open_locked(name, &device, err);
	if (!rc) {
		device->jobs++;
		*out = device;
	}
	pthread_mutex_unlock(&lock);
	return rc;
}

struct area *device_area(struct device *device, unsigned int window)
{
	struct area *area;

	pthread_mutex_lock(&lock);
	if (!device->areas[window])
		device->areas[window] = area_create();
	area = device->areas[window];
	pthread_mutex_unlock(&lock);
	return area;
}

static void close_locked(struct device *device)
{
	struct device **link = &devices;
	unsigned int i;

	while (*link != device)
		link = &(*link)->next;
	*link = device->next;
	for (i = 0; i < VP2P_MAX_WINDOWS; i++)
		area_destroy(device->areas[i]);
	vp2p_close(device->dev);
	free(device);
}

void device_put(struct device *device)
{
	pthread_mutex_lock(&lock);
	if (!--device->jobs)
		close_locked(device);
	pthread_mutex_unlock(&lock);
}
