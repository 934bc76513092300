/* FAAD2 behind a flat interface: raw AAC-LC frames of one or two channels to 16-bit samples.
 * Code from FAAD2 is copyright (c) Nero AG, www.nero.com */
#include "neaacdec.h"
#include "memory.h"

typedef struct {
   NeAACDecHandle    decoder;
   NeAACDecFrameInfo info;
   void             *samples;
} Decoder;

EXPORT_AS(close) void close_decoder(Decoder *d)
{
   if (!d) return;
   NeAACDecClose(d->decoder);
   free(d);
}

/* config: an AudioSpecificConfig (ISO 14496-3 1.6.2.1). Returns 0 when FAAD2 cannot decode it. */
EXPORT_AS(open) Decoder *open_decoder(unsigned char *config, int length)
{
   NeAACDecConfigurationPtr c;
   unsigned long rate = 0;
   unsigned char channels = 0;
   Decoder *d = calloc(1, sizeof *d);
   if (!d || !(d->decoder = NeAACDecOpen())) { free(d); return 0; }
   c = NeAACDecGetCurrentConfiguration(d->decoder);
   c->outputFormat = FAAD_FMT_16BIT;
   c->downMatrix = 1;
   NeAACDecSetConfiguration(d->decoder, c);
   if (NeAACDecInit2(d->decoder, config, (unsigned long)length, &rate, &channels) < 0) {
      close_decoder(d);
      return 0;
   }
   return d;
}

/* Decodes one frame; returns samples of all channels together (0: the first frame only fills the overlap),
 * or -1 - FAAD2's error. */
EXPORT_AS(decode) int decode(Decoder *d, unsigned char *in, int length)
{
   d->samples = NeAACDecDecode(d->decoder, &d->info, in, (unsigned long)length);
   if (d->info.error) return -1 - d->info.error;
   return d->samples ? (int)d->info.samples : 0;
}

/* Where the samples of the last frame are, interleaved. */
EXPORT_AS(samples) void *samples(Decoder *d) { return d->samples; }
EXPORT_AS(channels) int channels(Decoder *d) { return d->info.channels; }
