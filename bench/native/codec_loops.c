/* The native codec libraries behind the very shims that the WebAssembly modules are made of, and loops over whole
 * recordings, so that codec_bench.ts can compare the two with the same frames and settings. One library at a time:
 *   cc -O2 -shared -fPIC -DSHIM='"speex_shim.c"' -DSPEEX codec_loops.c -lspeex */
#include SHIM

#ifdef SPEEX
void *open_speex_encoder(int rate, int quality) { return open_encoder(rate == 16000, quality, 2); }
void *open_speex_decoder(int rate) { return open_decoder(rate == 16000, 1); }

int encode_all(void *codec, short *pcm, int packets, unsigned char *out, int stride, int *octets)
{
   for (int i = 0; i < packets; i++)
      octets[i] = encode(codec, pcm + i * ((Codec *)codec)->frame_size, 1, (char *)out + i * stride, stride);
   return packets;
}

int decode_all(void *codec, unsigned char *in, int packets, int stride, int *octets, short *pcm)
{
   int samples = 0;
   for (int i = 0; i < packets; i++)
      samples += decode(codec, (char *)in + i * stride, octets[i], pcm, 64) * ((Codec *)codec)->frame_size;
   return samples;
}

/* Like decode_all, but keeps every sample; a packet of no octets was lost, and one frame is concealed. */
int decode_stream(void *codec, unsigned char *in, int packets, int stride, int *octets, short *pcm)
{
   int samples = 0;
   for (int i = 0; i < packets; i++) {
      char *packet = octets[i] ? (char *)in + i * stride : 0;
      samples += decode(codec, packet, octets[i], pcm + samples, 64) * ((Codec *)codec)->frame_size;
   }
   return samples;
}
#endif

#ifdef OPUS
void *open_opus_encoder(int rate, int bitrate) { return open_encoder(rate, bitrate, 3, 0); }
void *open_opus_decoder(int rate) { return open_decoder(rate); }

int encode_all(void *codec, short *pcm, int packets, unsigned char *out, int stride, int *octets)
{
   int rate = 0;
   opus_encoder_ctl((OpusEncoder *)codec, OPUS_GET_SAMPLE_RATE(&rate));
   for (int i = 0; i < packets; i++) octets[i] = encode(codec, pcm + i * (rate / 50), rate / 50, out + i * stride, stride);
   return packets;
}

int decode_all(void *codec, unsigned char *in, int packets, int stride, int *octets, short *pcm)
{
   int samples = 0;
   for (int i = 0; i < packets; i++) samples += decode(codec, in + i * stride, octets[i], pcm, 5760, 0);
   return samples;
}
#endif

#ifdef AAC_DECODER
void *open_aac_decoder(unsigned char *config, int length) { return open_decoder(config, length); }

int decode_all(void *codec, unsigned char *in, int packets, int stride, int *octets, short *pcm)
{
   int samples = 0;
   (void)pcm;
   for (int i = 0; i < packets; i++) {
      int made = decode(codec, in + i * stride, octets[i]);
      if (made > 0) samples += made;
   }
   return samples;
}
#endif

#ifdef AAC_ENCODER
void *open_aac_encoder(int rate, int bitrate) { return open_encoder(rate, 1, bitrate); }

int encode_all(void *codec, short *pcm, int packets, unsigned char *out, int stride, int *octets)
{
   for (int i = 0; i < packets; i++) octets[i] = encode(codec, pcm + i * 1024, out + i * stride, stride);
   return packets;
}
#endif

#ifdef RESAMPLER
int resample_all(void *codec, short *pcm, int blocks, int block, short *out, int capacity)
{
   int made = 0;
   for (int i = 0; i < blocks; i++) made += process(codec, pcm + i * block, block, out, capacity);
   return made;
}
#endif
