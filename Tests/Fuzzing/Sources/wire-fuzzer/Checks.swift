import LockdModel
import LockdWire

/// A line as a framer gave it out, copied.
struct FramedLine: Equatable {
    var bytes: [UInt8]
    var isTooLong: Bool
}

/// The lines that a framer makes of the stream if it arrives in pieces.
func framedLines(of stream: UnsafeRawBufferPointer, limit: Int, pieceLength: Int, taken: Int) -> [FramedLine] {
    var framer = LineFramer(limit: limit)
    var lines: [FramedLine] = []
    func take() -> Bool {
        let line = framer.nextLine { line in
            switch line {
            case .complete(let bytes): FramedLine(bytes: Array(bytes), isTooLong: false)
            case .tooLong(let head): FramedLine(bytes: Array(head), isTooLong: true)
            }
        }
        if let line { lines.append(line) }
        return line != nil
    }
    for begin in stride(from: 0, to: stream.count, by: pieceLength) {
        framer.append(UnsafeRawBufferPointer(rebasing: stream[begin..<min(begin + pieceLength, stream.count)]))
        for _ in 0..<taken where !take() { break }
    }
    while take() {}
    require(framer.bufferedByteCount <= limit, "\(framer.bufferedByteCount) bytes are kept of an unfinished line")
    return lines
}

/// The same lines, found in the plainest way.
func expectedLines(of stream: UnsafeRawBufferPointer, limit: Int) -> [FramedLine] {
    var parts = stream.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).map { Array($0) }
    // Behind the last LF is a line that has not ended; it is known only if it is too long already.
    if let last = parts.popLast(), last.count > limit { parts.append(last) }
    return parts.map { FramedLine(bytes: Array($0.prefix(limit)), isTooLong: $0.count > limit) }
}

/// A line is a request that survives being written and read again, or is refused.
func checkRequest(_ line: UnsafeRawBufferPointer) {
    do throws(RefusedLine) {
        let request = try RequestDecoder.decode(line)
        let body = line.last == UInt8(ascii: "\r") ? line.dropLast() : line[...]
        require(!body.contains { $0 < 0x20 || $0 == 0x7F }, "accepted with a control character")
        require(
            !body.split(separator: 0x20, omittingEmptySubsequences: false).contains { $0.isEmpty },
            "accepted with bad spacing"
        )

        var written: [UInt8] = []
        RequestEncoder.encode(request, to: &written)
        let again = oneLine(written) { line in try? RequestDecoder.decode(line) }
        require(again == request, "\(request) was read again as \(String(describing: again))")
    } catch {
        checkRefusal(error)
    }
}

/// A refusal is one line that a client understands.
func checkRefusal(_ refusal: RefusedLine) {
    var written: [UInt8] = []
    ReplyEncoder.encode(refusal.reply, to: &written)
    let again = oneLine(written) { line in try? ReplyDecoder.decode(line) }
    require(again == refusal.reply, "\(refusal) was read as \(String(describing: again))")
}

/// A line is a reply that survives being written and read again, or is told to be none, or is an unknown event.
func checkReply(_ line: UnsafeRawBufferPointer) {
    do throws(MalformedReply) {
        guard let reply = try ReplyDecoder.decode(line) else { return }
        var written: [UInt8] = []
        ReplyEncoder.encode(reply, to: &written)
        let again = oneLine(written) { line in try? ReplyDecoder.decode(line) }
        require(again == reply, "\(reply) was read again as \(String(describing: again))")
    } catch {
        require(isPrintable(error.line.utf8), "not printable: \(error.line)")
    }
}

/// What `read` makes of `written`, which has to be one line of printable ASCII.
func oneLine<Value>(_ written: [UInt8], _ read: (UnsafeRawBufferPointer) -> Value?) -> Value? {
    require(written.last == UInt8(ascii: "\n") && isPrintable(written.dropLast()), "not one line: \(written)")
    return written.withUnsafeBytes { read(UnsafeRawBufferPointer(rebasing: $0.dropLast())) }
}

func isPrintable(_ bytes: some Sequence<UInt8>) -> Bool {
    bytes.allSatisfy { (0x20...0x7E).contains($0) }
}

/// Ends the fuzzer if `condition` does not hold; unlike `precondition`, it says why in optimised code too.
func require(_ condition: Bool, _ message: @autoclosure () -> String) {
    if !condition { fatalError(message()) }
}
