/* libspeex behind a flat interface. A handle is one encoder or one decoder; audio is 16-bit mono.
 * mode: 0 narrowband (8 kHz, 160 samples a frame), 1 wideband (16 kHz, 320). A frame is always 20 ms. */
#include <speex/speex.h>
#include "memory.h"

typedef struct {
   void     *state;
   SpeexBits bits;
   int       frame_size;
   int       decoder;
} Codec;

static Codec *make(int mode, int decoder)
{
   const SpeexMode *m = mode == 0 || mode == 1 ? speex_lib_get_mode(mode) : 0;
   Codec *c = m ? calloc(1, sizeof *c) : 0;
   if (!c) return 0;
   c->decoder = decoder;
   c->state = decoder ? speex_decoder_init(m) : speex_encoder_init(m);
   if (!c->state) { free(c); return 0; }
   speex_bits_init(&c->bits);
   c->frame_size = mode == 0 ? 160 : 320;
   return c;
}

EXPORT_AS(openEncoder) Codec *open_encoder(int mode, int quality, int complexity)
{
   Codec *c = make(mode, 0);
   if (!c) return 0;
   speex_encoder_ctl(c->state, SPEEX_SET_QUALITY, &quality);
   speex_encoder_ctl(c->state, SPEEX_SET_COMPLEXITY, &complexity);
   return c;
}

EXPORT_AS(openDecoder) Codec *open_decoder(int mode, int enhance)
{
   Codec *c = make(mode, 1);
   if (!c) return 0;
   speex_decoder_ctl(c->state, SPEEX_SET_ENH, &enhance);
   return c;
}

EXPORT_AS(close) void close_codec(Codec *c)
{
   if (!c) return;
   if (c->decoder) speex_decoder_destroy(c->state); else speex_encoder_destroy(c->state);
   speex_bits_destroy(&c->bits);
   free(c);
}

/* Encodes `frames` frames into one packet; returns its octets. */
EXPORT_AS(encode) int encode(Codec *c, short *pcm, int frames, char *out, int capacity)
{
   int i;
   speex_bits_reset(&c->bits);
   for (i = 0; i < frames; i++) speex_encode_int(c->state, pcm + i * c->frame_size, &c->bits);
   speex_bits_insert_terminator(&c->bits);
   return speex_bits_write(&c->bits, out, capacity);
}

/* Decodes every frame of one packet, at most max_frames; returns how many, or -1 when the packet is damaged
 * at its first frame. in == 0: the packet was lost, and one frame is concealed. */
EXPORT_AS(decode) int decode(Codec *c, const char *in, int length, short *pcm, int max_frames)
{
   int n = 0;
   if (!in) { speex_decode_int(c->state, 0, pcm); return 1; }
   speex_bits_read_from(&c->bits, in, length);
   while (n < max_frames && speex_bits_remaining(&c->bits) > 4) {
      int r = speex_decode_int(c->state, &c->bits, pcm + n * c->frame_size);
      if (r == -1) break;
      if (r < 0 || speex_bits_remaining(&c->bits) < 0) return n ? n : -1;
      n++;
   }
   return n;
}
