/* The kernel for vectors of LANES doubles, each lane another frame; kernel.c includes it per width. */

typedef double OF_LANES(vector) __attribute__((vector_size(8 * LANES)));
typedef uint64_t OF_LANES(bits) __attribute__((vector_size(8 * LANES)));
#define vector OF_LANES(vector)
#define bits OF_LANES(bits)

/* Windowed frames, packed for a complex FFT of half the length: even samples real, odd ones imaginary.
 * Lanes after `last` repeat it. */
TARGET static void OF_LANES(load)(const Tables *tables, const float *samples, int last, vector *re,
                                  vector *im) {
  const float *frames[LANES];
  for (int lane = 0; lane < LANES; lane++)
    frames[lane] = samples + (lane < last ? lane : last) * (int64_t)tables->hop_length;
  const int n_pairs = (tables->win_length + 1) / 2;
  for (int n = 0; n < n_pairs; n++) {
    vector even, odd;
    for (int lane = 0; lane < LANES; lane++) {
      even[lane] = frames[lane][2 * n];
      odd[lane] = frames[lane][2 * n + 1];
    }
    re[n] = even * tables->window[2 * n];
    im[n] = odd * tables->window[2 * n + 1];
  }
  const size_t rest = (size_t)(tables->n_fft / 2 - n_pairs) * sizeof(vector);
  memset(re + n_pairs, 0, rest);
  memset(im + n_pairs, 0, rest);
}

/* Complex FFT of n_fft / 2 points in place, decimated in frequency by four, and by two at the end where
 * the length is no power of four. Frequencies end up where tables->places says. */
TARGET static void OF_LANES(fft)(const Tables *tables, vector *restrict re, vector *restrict im) {
  const int n_points = tables->n_fft / 2;
  const double *w = tables->stages;
  int size = n_points;
  for (; size >= 4; size /= 4) {
    const int q = size / 4;
    for (int k = 0; k < q; k++, w += 6) {
      for (int start = k; start < n_points; start += size) {
        vector *r = re + start, *i = im + start;
        const vector ar = r[0] + r[2 * q], ai = i[0] + i[2 * q];
        const vector br = r[0] - r[2 * q], bi = i[0] - i[2 * q];
        const vector cr = r[q] + r[3 * q], ci = i[q] + i[3 * q];
        const vector dr = i[q] - i[3 * q], di = r[3 * q] - r[q]; /* turned by -90 degrees */
        const vector er = br + dr, ei = bi + di;
        const vector fr = ar - cr, fi = ai - ci;
        const vector gr = br - dr, gi = bi - di;
        r[0] = ar + cr;
        i[0] = ai + ci;
        r[q] = er * w[0] - ei * w[1];
        i[q] = er * w[1] + ei * w[0];
        r[2 * q] = fr * w[2] - fi * w[3];
        i[2 * q] = fr * w[3] + fi * w[2];
        r[3 * q] = gr * w[4] - gi * w[5];
        i[3 * q] = gr * w[5] + gi * w[4];
      }
    }
  }
  if (size == 2) {
    for (int start = 0; start < n_points; start += 2) {
      const vector r = re[start + 1], i = im[start + 1];
      re[start + 1] = re[start] - r;
      im[start + 1] = im[start] - i;
      re[start] += r;
      im[start] += i;
    }
  }
}

/* Power of the real frames' n_fft / 2 + 1 bins. The halved window makes up for sums that are not. */
TARGET static void OF_LANES(squares)(const Tables *tables, const vector *restrict re,
                                     const vector *restrict im, vector *restrict power) {
  const int half = tables->n_fft / 2;
  const vector lowest = 2 * (re[0] + im[0]), highest = 2 * (re[0] - im[0]);
  power[0] = lowest * lowest;
  power[half] = highest * highest;
  for (int k = 1; k <= half / 2; k++) {
    const int there = tables->places[k], mirrored = tables->places[half - k];
    const vector even_r = re[there] + re[mirrored], even_i = im[there] - im[mirrored];
    const vector odd_r = im[there] + im[mirrored], odd_i = re[mirrored] - re[there];
    const double c = tables->last[2 * k], s = tables->last[2 * k + 1];
    const vector turned_r = odd_r * c - odd_i * s, turned_i = odd_r * s + odd_i * c;
    const vector ur = even_r + turned_r, ui = even_i + turned_i;
    const vector vr = even_r - turned_r, vi = even_i - turned_i;
    power[k] = ur * ur + ui * ui;
    power[half - k] = vr * vr + vi * vi;
  }
}

/* `a` where the mask is set, `b` elsewhere. */
TARGET static inline vector OF_LANES(choose)(bits mask, vector a, vector b) {
  return (vector)((mask & (bits)a) | (~mask & (bits)b));
}

/* 10 log10(x) to 1e-14 of a bel, for positive x that are normal; infinities and NaN stay.
 *
 * x = 2^e m with m in [sqrt(1/2), sqrt(2)), and ln m = 2 artanh((m - 1) / (m + 1)), by its series. The
 * exponent becomes a double in the last bits of 2^52: not every processor converts 64-bit integers. */
TARGET static inline vector OF_LANES(decibels)(vector x) {
  const uint64_t one = 0x3ff0000000000000, root = 0x3fe6a09e667f3bcd, fraction = 0x000fffffffffffff;
  const uint64_t two_to_52 = 0x4330000000000000;
  const bits shifted = (bits)x + (one - root);
  const vector e = (vector)((shifted >> 52) | two_to_52) - (4503599627370496.0 + 1023.0);
  const vector m = (vector)((shifted & fraction) + root);
  const vector s = (m - 1) / (m + 1), z = s * s;
  const vector series =
      1 + z * (1. / 3 + z * (1. / 5 + z * (1. / 7 + z * (1. / 9 + z * (1. / 11 + z * (1. / 13 + z * (1. / 15)))))));
  const vector result = 3.01029995663981195 * e + 8.68588963806503655 * (s * series);
  return OF_LANES(choose)((bits)(x - x == 0), result, x);
}

/* Log mel spectrum in dB, [n_mels]. */
TARGET static void OF_LANES(mel)(const Tables *tables, const vector *restrict power,
                                 vector *restrict mel) {
  const vector floor = tables->log_floor - (vector){0};
  const double *weight = tables->weights;
  for (int band = 0; band < tables->n_mels; band++) {
    vector sum = {0};
    for (int bin = tables->bands[2 * band]; bin < tables->bands[2 * band + 1]; bin++)
      sum += *weight++ * power[bin];
    mel[band] = OF_LANES(choose)((bits)(sum < floor), floor, sum);
  }
  /* Apart, so that one band's logarithm need not wait for the next one's sum. */
  for (int band = 0; band < tables->n_mels; band++) mel[band] = OF_LANES(decibels)(mel[band]);
}

/* DCT, [n_mfcc], four coefficients at a time: a single sum would wait for each addition. */
TARGET static void OF_LANES(dct)(const Tables *tables, const vector *restrict mel,
                                 vector *restrict cepstrum) {
  const int n_mfcc = tables->n_mfcc;
  for (int first = 0; first < n_mfcc; first += 4) {
    const int n = n_mfcc - first < 4 ? n_mfcc - first : 4;
    const int b = n > 1, c = n > 2 ? 2 : 0, d = n > 3 ? 3 : 0;
    vector sums[4] = {{0}, {0}, {0}, {0}};
    const double *row = tables->dct + first;
    for (int band = 0; band < tables->n_mels; band++, row += n_mfcc) {
      sums[0] += row[0] * mel[band];
      sums[1] += row[b] * mel[band];
      sums[2] += row[c] * mel[band];
      sums[3] += row[d] * mel[band];
    }
    for (int i = 0; i < n; i++) cepstrum[first + i] = sums[i];
  }
}

/* See edge_ser_frames. */
TARGET static int32_t OF_LANES(frames)(const Tables *tables, const float *samples, int64_t n_frames,
                                       float *result) {
  const int half = tables->n_fft / 2;
  const int n_rows = tables->dct ? tables->n_mfcc : tables->n_mels;
  const size_t n_vectors = (size_t)(3 * half + 1 + tables->n_mels + tables->n_mfcc);
  vector *re = aligned_alloc(sizeof(vector), n_vectors * sizeof(vector));
  if (!re) return -1;
  vector *im = re + half, *power = im + half, *mel = power + half + 1, *cepstrum = mel + tables->n_mels;
  for (int64_t first = 0; first < n_frames; first += LANES) {
    const int n = n_frames - first < LANES ? (int)(n_frames - first) : LANES;
    OF_LANES(load)(tables, samples + first * tables->hop_length, n - 1, re, im);
    OF_LANES(fft)(tables, re, im);
    OF_LANES(squares)(tables, re, im, power);
    OF_LANES(mel)(tables, power, mel);
    if (tables->dct) OF_LANES(dct)(tables, mel, cepstrum);
    const vector *rows = tables->dct ? cepstrum : mel;
    for (int row = 0; row < n_rows; row++)
      for (int lane = 0; lane < n; lane++)
        result[row * n_frames + first + lane] = (float)rows[row][lane];
  }
  free(re);
  return 0;
}

#undef vector
#undef bits
