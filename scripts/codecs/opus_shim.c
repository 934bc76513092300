/* libopus behind a flat interface. A handle is one encoder or one decoder; audio is 16-bit mono at a rate
 * that Opus knows: 8, 12, 16, 24 or 48 kHz. A stereo packet is mixed down by the decoder. */
#include <opus.h>
#include "memory.h"

/* A failed assertion traps, and the host sees it; nothing is printed. */
__attribute__((noreturn)) void celt_fatal(const char *text, const char *file, int line)
{
   (void)text; (void)file; (void)line;
   __builtin_trap();
}

EXPORT_AS(openEncoder) OpusEncoder *open_encoder(int rate, int bitrate, int complexity, int loss_percent)
{
   int error = 0;
   OpusEncoder *e = opus_encoder_create(rate, 1, OPUS_APPLICATION_VOIP, &error);
   if (!e) return 0;
   opus_encoder_ctl(e, OPUS_SET_BITRATE(bitrate));
   opus_encoder_ctl(e, OPUS_SET_COMPLEXITY(complexity));
   opus_encoder_ctl(e, OPUS_SET_SIGNAL(OPUS_SIGNAL_VOICE));
   opus_encoder_ctl(e, OPUS_SET_PACKET_LOSS_PERC(loss_percent));
   opus_encoder_ctl(e, OPUS_SET_INBAND_FEC(loss_percent > 0));
   return e;
}

EXPORT_AS(openDecoder) OpusDecoder *open_decoder(int rate)
{
   int error = 0;
   return opus_decoder_create(rate, 1, &error);
}

EXPORT_AS(closeEncoder) void close_encoder(OpusEncoder *e) { if (e) opus_encoder_destroy(e); }
EXPORT_AS(closeDecoder) void close_decoder(OpusDecoder *d) { if (d) opus_decoder_destroy(d); }

/* Returns the octets of the packet, or a negative error. */
EXPORT_AS(encode) int encode(OpusEncoder *e, const short *pcm, int samples, unsigned char *out, int capacity)
{
   return opus_encode(e, pcm, samples, out, capacity);
}

/* Returns the samples, or a negative error. in == 0: `capacity` samples are concealed. fec: the samples that
 * the packet before this one would have given, as far as this one tells. */
EXPORT_AS(decode) int decode(OpusDecoder *d, const unsigned char *in, int length, short *pcm, int capacity, int fec)
{
   return opus_decode(d, in, length, pcm, capacity, fec);
}
