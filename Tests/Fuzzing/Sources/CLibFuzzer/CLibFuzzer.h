// What libFuzzer offers to a program with a main() of its own. The compiler has the library, and no header for it.

#pragma once

#include <stddef.h>
#include <stdint.h>

int LLVMFuzzerRunDriver(int *argc, char ***argv, int (*run)(const uint8_t *input, size_t size));
