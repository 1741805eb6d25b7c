"""Student -> int8 TFLite and ONNX -> golden vectors, parity and a signed model package."""
