/* vo-aacenc behind a flat interface: 16-bit samples to raw AAC-LC frames of 1024 samples a channel. */
#include "voAAC.h"
#include "cmnMemory.h"
#include "memory.h"

typedef struct {
   VO_AUDIO_CODECAPI api;
   VO_HANDLE         encoder;
   VO_MEM_OPERATOR   memory;
   int               channels;
} Encoder;

EXPORT_AS(close) void close_encoder(Encoder *e)
{
   if (!e) return;
   if (e->encoder) e->api.Uninit(e->encoder);
   free(e);
}

EXPORT_AS(open) Encoder *open_encoder(int rate, int channels, int bitrate)
{
   VO_CODEC_INIT_USERDATA user = { 0 };
   AACENC_PARAM parameters = { 0 };
   Encoder *e = calloc(1, sizeof *e);
   if (!e) return 0;
   voGetAACEncAPI(&e->api);
   e->memory.Alloc = cmnMemAlloc;
   e->memory.Copy = cmnMemCopy;
   e->memory.Free = cmnMemFree;
   e->memory.Set = cmnMemSet;
   e->memory.Check = cmnMemCheck;
   user.memflag = VO_IMF_USERMEMOPERATOR;
   user.memData = &e->memory;
   e->channels = channels;
   parameters.sampleRate = rate;
   parameters.bitRate = bitrate;
   parameters.nChannels = (short)channels;
   parameters.adtsUsed = 0;
   if (e->api.Init(&e->encoder, VO_AUDIO_CodingAAC, &user) != VO_ERR_NONE ||
       e->api.SetParam(e->encoder, VO_PID_AAC_ENCPARAM, &parameters) != VO_ERR_NONE) {
      close_encoder(e);
      return 0;
   }
   return e;
}

/* Encodes 1024 samples a channel; returns the octets of the frame, or -1. */
EXPORT_AS(encode) int encode(Encoder *e, short *pcm, unsigned char *out, int capacity)
{
   VO_CODECBUFFER input = { 0 }, output = { 0 };
   VO_AUDIO_OUTPUTINFO info = { 0 };
   input.Buffer = (VO_PBYTE)pcm;
   input.Length = 1024 * sizeof *pcm * e->channels;
   e->api.SetInputData(e->encoder, &input);
   output.Buffer = out;
   output.Length = capacity;
   if (e->api.GetOutputData(e->encoder, &output, &info) != VO_ERR_NONE) return -1;
   return (int)output.Length;
}
