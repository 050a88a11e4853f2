"""ONNX files from elsewhere: read whole, their open sizes fixed, their layers found in the graph."""
