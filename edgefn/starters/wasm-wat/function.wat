;; viewer-request: answers each request with a page. A request could be returned as well: see docs/wasm-abi.md.
(module
  (import "edgefn" "log" (func $log (param $text i32) (param $size i32)))
  (memory (export "memory") 2)
  (data (i32.const 16) "answered at the edge")
  (data (i32.const 64)
    "{\"status\":\"200\",\"statusDescription\":\"OK\","
    "\"headers\":{\"content-type\":[{\"key\":\"Content-Type\",\"value\":\"text/plain\"}]},"
    "\"body\":\"Hello from WebAssembly\\n\"}")

  ;; Where the host writes the event: the second page, and more of them for a large one. 0: there is no room.
  (func (export "alloc") (param $size i32) (result i32)
    (if (i32.gt_u (local.get $size) (i32.const 65536))
      (then (if (i32.eq (memory.grow (i32.shr_u (local.get $size) (i32.const 16))) (i32.const -1))
        (then (return (i32.const 0))))))
    (i32.const 65536))

  ;; The result: its address in the upper half, its length in the lower one.
  (func (export "handle") (param $event i32) (param $size i32) (result i64)
    (call $log (i32.const 16) (i32.const 20))
    (i64.or (i64.shl (i64.const 64) (i64.const 32)) (i64.const 148))))
