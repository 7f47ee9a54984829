#include "eval/built_in_nets.h"

// The assembler reads the file: no generated source, and nothing to find at run time.
asm(R"(
  .section .rodata
  .balign 64
  .globl ddpm_eval_net_fashion_mnist_begin
  .globl ddpm_eval_net_fashion_mnist_end
ddpm_eval_net_fashion_mnist_begin:
  .incbin ")" DDPM_EVAL_NETS_DIR R"(/fashion-mnist-small.safetensors"
ddpm_eval_net_fashion_mnist_end:
  .previous
)");

extern "C" {
extern const char ddpm_eval_net_fashion_mnist_begin[];
extern const char ddpm_eval_net_fashion_mnist_end[];
}

namespace ddpm_eval::eval {

const std::vector<EmbeddedFile>& embedded_nets() {
  static const std::vector<EmbeddedFile> files = {
      {"fashion-mnist-small",
       {ddpm_eval_net_fashion_mnist_begin,
        static_cast<size_t>(ddpm_eval_net_fashion_mnist_end - ddpm_eval_net_fashion_mnist_begin)}}};
  return files;
}

}  // namespace ddpm_eval::eval
