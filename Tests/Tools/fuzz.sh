#!/usr/bin/env bash
# fuzz.sh SECONDS: builds the fuzzers of Tests/Fuzzing, with the address sanitizer, and runs each for so long.
# Inputs that reach something new are kept in .build/fuzzing and tried first the next time. Ends at the first input that breaks something.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly seconds=$1 build=.build/fuzzing

# The linker warns of every symbol of the sanitizer.
swift build --quiet --package-path Tests/Fuzzing --scratch-path "$build" --sanitize=fuzzer --sanitize=address 2>&1 |
    { grep -v "Cannot export local symbol '__asan" || true; }
# A crash is the result, and its stack is libFuzzer's to print.
export SWIFT_BACKTRACE=enable=no
for fuzzer in FuzzWire FuzzService; do
    echo "$fuzzer, $seconds s"
    mkdir -p "$build/corpus/$fuzzer" "$build/findings"
    if ! "$build/debug/$fuzzer" -max_total_time="$seconds" -max_len=600 -len_control=0 -timeout=10 -verbosity=0 -print_final_stats=1 \
        -dict=Tests/Fuzzing/words.dict -artifact_prefix="$build/findings/" \
        "$build/corpus/$fuzzer" "Tests/Fuzzing/Seeds/$fuzzer" 2>"$build/$fuzzer.log"; then
        tail -n 60 "$build/$fuzzer.log"
        echo "$fuzzer has found something; to see it again: $build/debug/$fuzzer, with the file that was written to $build/findings" >&2
        exit 1
    fi
    sed -n 's/^stat::number_of_executed_units: */  inputs: /p' "$build/$fuzzer.log"
done
