"""edgefn: Lambda@Edge that you can host yourself. Start reading at `edgefn.proxy.walk`."""
