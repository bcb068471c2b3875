import LockdModel
import LockdWire

/// Feeds the input to both decoders, as a stream in pieces.
///
/// Whatever the lines are, decoding ends with a value or an error. What was decoded can be encoded, and means the same when it is decoded again;
/// what is refused is refused in a line that a client can read.
@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzWire(_ start: UnsafePointer<UInt8>, _ count: Int) -> CInt {
    let input = UnsafeRawBufferPointer(start: start, count: count)
    // The first byte says in which pieces the rest arrives: every way of cutting a stream gives the same lines.
    guard let first = input.first else { return 0 }
    let stream = UnsafeRawBufferPointer(rebasing: input.dropFirst())
    let whole = lines(of: stream, pieces: max(1, stream.count))
    let pieces = lines(of: stream, pieces: 1 + Int(first) % 17)
    precondition(whole == pieces, "the lines depend on how the stream is cut")
    for line in whole {
        line.withUnsafeBytes { checkRequest($0) }
        line.withUnsafeBytes { checkReply($0) }
    }
    return 0
}

/// The lines of `stream`, read `size` bytes at a time; of one that is too long, what is refused.
private func lines(of stream: UnsafeRawBufferPointer, pieces size: Int) -> [[UInt8]] {
    // So small that short inputs reach it.
    let limit = 300
    var framer = LineFramer(limit: limit)
    var lines: [[UInt8]] = []
    for start in stride(from: 0, to: stream.count, by: size) {
        framer.append(UnsafeRawBufferPointer(rebasing: stream[start..<min(start + size, stream.count)]))
        while let line = framer.nextLine({ line -> [UInt8] in
            switch line {
            case .complete(let bytes): Array(bytes)
            case .tooLong(let head): encoded(RequestDecoder.refusal(ofTooLong: head, limit: limit))
            }
        }) {
            lines.append(line)
        }
    }
    return lines
}

private func checkRequest(_ line: UnsafeRawBufferPointer) {
    do throws(RefusedLine) {
        let request = try RequestDecoder.decode(line)
        var bytes: [UInt8] = []
        RequestEncoder.encode(request, to: &bytes)
        precondition(bytes.removeLast() == UInt8(ascii: "\n"), "an encoded request does not end its line: \(request)")
        let again = try? bytes.withUnsafeBytes { try RequestDecoder.decode($0) }
        precondition(again == request, "\(request) becomes \(String(describing: again)) when it is written and read")
    } catch {
        var bytes = encoded(error)
        precondition(bytes.removeLast() == UInt8(ascii: "\n"), "a refusal does not end its line: \(error)")
        let reply = try? bytes.withUnsafeBytes { try ReplyDecoder.decode($0) }
        precondition(reply == TaggedReply(tag: error.tag, .error(error.error)), "a client cannot read \(error)")
    }
}

private func checkReply(_ line: UnsafeRawBufferPointer) {
    guard let reply = try? ReplyDecoder.decode(line) else { return }
    var bytes: [UInt8] = []
    ReplyEncoder.encode(reply, to: &bytes)
    precondition(bytes.removeLast() == UInt8(ascii: "\n"), "an encoded reply does not end its line: \(reply)")
    let again = try? bytes.withUnsafeBytes { try ReplyDecoder.decode($0) }
    precondition(again == reply, "\(reply) becomes \(String(describing: again)) when it is written and read")
}

private func encoded(_ refused: RefusedLine) -> [UInt8] {
    var bytes: [UInt8] = []
    ReplyEncoder.encode(.error(refused.error), tag: refused.tag, to: &bytes)
    return bytes
}
