;; viewer-request, in WebAssembly's own text form: the site is closed.
(module
  (import "edgefn" "log" (func $log (param $text i32) (param $size i32)))
  (memory (export "memory") 2)
  (data $line (i32.const 16) "turned away")
  (data $answer (i32.const 64)
    "{\"status\":\"503\",\"statusDescription\":\"Service Unavailable\","
    "\"headers\":{\"retry-after\":[{\"key\":\"Retry-After\",\"value\":\"120\"}]},\"body\":\"Back in a moment.\\n\"}")

  ;; The event is written to the second page; one that is larger gets more of them.
  (func (export "alloc") (param $size i32) (result i32)
    (if (i32.gt_u (local.get $size) (i32.const 65536))
      (then (if (i32.eq (memory.grow (i32.shr_u (local.get $size) (i32.const 16))) (i32.const -1))
        (then (return (i32.const 0))))))
    (i32.const 65536))

  (func (export "handle") (param $event i32) (param $size i32) (result i64)
    (call $log (i32.const 16) (i32.const 11))
    (i64.or (i64.shl (i64.const 64) (i64.const 32)) (i64.const 151))))
