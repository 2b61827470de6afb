"""INT8 and FP16 models, calibration sets, and the gate that checks them."""
