#!/usr/bin/env bash
# fuzz.sh SECONDS: builds the fuzzers of Tests/Fuzzing and runs each for so long. What they find interesting is kept in .build/fuzzing and
# tried first the next time. Ends with the first input that breaks something; its path is in the output.
set -euo pipefail
cd "$(dirname "$0")/../.."
readonly seconds=$1 build=.build/fuzzing

swift build --package-path Tests/Fuzzing --scratch-path "$build" --sanitize=fuzzer
# A crash is the result, and its stack is libFuzzer's to print.
export SWIFT_BACKTRACE=enable=no
for fuzzer in FuzzWire FuzzService; do
    echo "$fuzzer, $seconds s"
    mkdir -p "$build/corpus/$fuzzer" "$build/findings"
    if ! "$build/debug/$fuzzer" -max_total_time="$seconds" -max_len=600 -len_control=0 -timeout=10 -verbosity=0 -print_final_stats=1 \
        -dict=Tests/Fuzzing/words.dict -artifact_prefix="$build/findings/" \
        "$build/corpus/$fuzzer" "Tests/Fuzzing/Seeds/$fuzzer" 2>"$build/$fuzzer.log"; then
        tail -n 60 "$build/$fuzzer.log"
        echo "$fuzzer found an input; to see it fail again: $build/debug/$fuzzer $build/findings/…" >&2
        exit 1
    fi
    sed -n 's/^stat::number_of_executed_units: */  inputs: /p' "$build/$fuzzer.log"
done
