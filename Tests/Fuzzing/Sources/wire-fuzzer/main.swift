import CLibFuzzer
import Glibc
import LockdWire

// Feeds arbitrary bytes in arbitrary pieces to what reads from the socket, at both of its ends. To build it, and to run
// it for 60 seconds, from the root of the repository:
//
//     swift build --package-path Tests/Fuzzing --configuration release --product wire-fuzzer \
//         -Xswiftc -sanitize=fuzzer,address -Xswiftc -use-ld=lld
//     mkdir -p Tests/Fuzzing/.build/corpus
//     Tests/Fuzzing/.build/release/wire-fuzzer -max_total_time=60 -max_len=20000 \
//         -artifact_prefix=Tests/Fuzzing/.build/ Tests/Fuzzing/.build/corpus Tests/Fuzzing/Corpus
//
// It exits with 0 if nothing was found. An input that breaks a promise ends it and is kept in Tests/Fuzzing/.build; named
// as the only argument, that file is run again.
//
// An input is two bytes that say how the stream is cut, and the stream. The first is the length of a piece, less one. The
// second is how many lines are taken after each piece; with its high bit, lines may be as long as those of requests,
// without it they are too long soon.

private func run(_ input: UnsafeRawBufferPointer) {
    guard input.count >= 2 else { return }
    let stream = UnsafeRawBufferPointer(rebasing: input[2...])
    let limit = input[1] & 0x80 == 0 ? 40 : 8192

    let lines = framedLines(of: stream, limit: limit, pieceLength: Int(input[0]) + 1, taken: Int(input[1] & 0x7F))
    require(lines == expectedLines(of: stream, limit: limit), "the framer saw other lines: \(lines)")

    for line in lines {
        line.bytes.withUnsafeBytes { bytes in
            if line.isTooLong {
                checkRefusal(RequestDecoder.refusal(ofTooLong: bytes, limit: limit))
            } else {
                checkRequest(bytes)
                checkReply(bytes)
            }
        }
    }
}

var argumentCount = CommandLine.argc
var arguments: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>? = CommandLine.unsafeArgv
exit(
    LLVMFuzzerRunDriver(&argumentCount, &arguments) { start, count in
        run(UnsafeRawBufferPointer(start: start, count: count))
        return 0
    }
)
