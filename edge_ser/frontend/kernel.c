/* MFCCs of frames of speech: the arithmetic of in_numpy.py, several frames at a time.
 *
 * Each lane of a vector holds another frame, so that no operation mixes frames and none is ordered by
 * the width of the vectors. Without contraction to fused operations (compile.sh forbids it) every
 * processor then gives the same bits, and a frame is the same whichever others are computed with it.
 * Tables come from tables.py, by way of compiled.py.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

/* Of all the sources, as compile.sh saw them: compiled.py does not use what was made from others. */
const char edge_ser_source[] = SOURCE;

typedef struct {
  int32_t n_fft; /* a power of two */
  int32_t win_length;
  int32_t hop_length;
  int32_t n_mels;
  int32_t n_mfcc;
  double log_floor;
  const double *window;       /* [win_length, one more where that is odd], halved */
  const double *stages;       /* cosine and sine of 1, 2 and 3 times each angle of each stage of four */
  const double *last;         /* [n_fft / 4 + 1][2] cosine and sine of -2 pi k / n_fft */
  const int32_t *places;      /* [n_fft / 2] where the stages leave each frequency */
  const int32_t *bands;       /* [n_mels][2] first bin, and the one after the last */
  const double *weights;      /* of the bins of each band, band after band */
  const double *dct;          /* [n_mels][n_mfcc] */
} Tables;

#define JOIN_(name, lanes) name##_##lanes
#define JOIN(name, lanes) JOIN_(name, lanes)
#define OF_LANES(name) JOIN(name, LANES)

/* SSE2 and NEON, which every x86-64 and aarch64 processor has. */
#define LANES 2
#define TARGET
#include "lanes.h"

#ifdef __x86_64__
#undef LANES
#undef TARGET
#define LANES 4
#define TARGET __attribute__((target("avx2")))
#include "lanes.h"

#undef LANES
#undef TARGET
#define LANES 8
#define TARGET __attribute__((target("avx512f")))
#include "lanes.h"
#endif

/* The widest vectors this processor has, in doubles. */
int32_t edge_ser_lanes(void) {
#ifdef __x86_64__
  if (__builtin_cpu_supports("avx512f")) return 8;
  if (__builtin_cpu_supports("avx2")) return 4;
#endif
  return 2;
}

/* Write float32 [n_mfcc][n_frames], or [n_mels][n_frames] in dB where tables->dct is NULL.
 *
 * samples: from the first one under the first window on; they must reach to the end of the last.
 * lanes: as edge_ser_lanes() says, or fewer.
 * Returns 0, or -1 where memory is short.
 */
int32_t edge_ser_frames(const Tables *tables, const float *samples, int64_t n_frames, int32_t lanes,
                        float *result) {
#ifdef __x86_64__
  if (lanes == 8) return frames_8(tables, samples, n_frames, result);
  if (lanes == 4) return frames_4(tables, samples, n_frames, result);
#endif
  (void)lanes;
  return frames_2(tables, samples, n_frames, result);
}
