/* The resampler of speexdsp behind a flat interface: one channel of 16-bit samples. */
#include "speex_resampler.h"
#include "memory.h"

EXPORT_AS(open) SpeexResamplerState *open_resampler(int in_rate, int out_rate, int quality)
{
   int error = 0;
   return speex_resampler_init(1, in_rate, out_rate, quality, &error);
}

EXPORT_AS(close) void close_resampler(SpeexResamplerState *s) { if (s) speex_resampler_destroy(s); }

/* Group delay in samples of the output. */
EXPORT_AS(latency) int latency(SpeexResamplerState *s) { return speex_resampler_get_output_latency(s); }

/* Takes all `count` samples when `capacity` allows; returns how many were made, or -1. */
EXPORT_AS(process) int process(SpeexResamplerState *s, const short *in, int count, short *out, int capacity)
{
   spx_uint32_t taken = count, made = capacity;
   if (speex_resampler_process_int(s, 0, in, &taken, out, &made) != RESAMPLER_ERR_SUCCESS) return -1;
   return (int)taken == count ? (int)made : -1;
}
