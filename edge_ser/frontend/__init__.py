"""Front end: MFCCs, offline and streaming, computed by the same kernel from the same tables.

samples -> `offline` | `streaming` -> `kernel` (`compiled` | `in_numpy`) <- `tables`
"""

from edge_ser.frontend.kernel import kernel_for as kernel_for
from edge_ser.frontend.offline import log_mel as log_mel
from edge_ser.frontend.offline import mfcc as mfcc
from edge_ser.frontend.streaming import StreamingFeatures as StreamingFeatures
from edge_ser.frontend.tables import DELTA_WIDTH as DELTA_WIDTH
from edge_ser.frontend.tables import dct_basis as dct_basis
from edge_ser.frontend.tables import delta_kernels as delta_kernels
from edge_ser.frontend.tables import hz_to_mel as hz_to_mel
from edge_ser.frontend.tables import mel_edges as mel_edges
from edge_ser.frontend.tables import mel_filterbank as mel_filterbank
from edge_ser.frontend.tables import mel_to_hz as mel_to_hz
from edge_ser.frontend.tables import window as window
