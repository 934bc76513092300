/* What every codec module exports beside its codec: places for the host's samples and octets.
 * A module is one C library behind a flat interface of numbers; handles are addresses.
 * Exported with the name given, everything else stays inside. */
#ifndef SIPRTMP_MEMORY_H
#define SIPRTMP_MEMORY_H
#include <stdlib.h>

#define EXPORT_AS(name) __attribute__((export_name(#name), visibility("default")))

EXPORT_AS(allocate) void *allocate(int octets) { return octets > 0 ? calloc(1, (size_t)octets) : 0; }
EXPORT_AS(release) void release(void *place) { free(place); }
#endif
