import LockdModel

/// Puts values one behind the other into memory that has room for them.
struct LogWriter {
    private var cursor: UnsafeMutableRawPointer

    init(_ start: UnsafeMutableRawPointer) { cursor = start }

    @inline(__always)
    mutating func put(_ value: some FixedWidthInteger & BitwiseCopyable) {
        cursor.storeBytes(of: value, as: type(of: value))
        cursor += MemoryLayout.size(ofValue: value)
    }

    @inline(__always)
    mutating func put(_ bytes: UnsafeRawBufferPointer) {
        if let start = bytes.baseAddress, bytes.count > 0 { cursor.copyMemory(from: start, byteCount: bytes.count) }
        cursor += bytes.count
    }

    /// A spelling, with its length in front.
    @inline(__always)
    mutating func put(_ spelling: String) {
        var spelling = spelling
        spelling.withUTF8 {
            put(UInt16($0.count))
            put(UnsafeRawBufferPointer($0))
        }
    }

    /// A text; none is the same as an empty one, which no text is.
    mutating func put(_ text: Text?) {
        if let text { put(text.spelling) } else { put(UInt16(0)) }
    }

    /// A tag; none is the same as an empty one, which no tag is.
    mutating func put(_ tag: Tag?) {
        guard let tag else { return put(UInt8(0)) }
        tag.withCharacters {
            put(UInt8($0.count))
            put($0)
        }
    }

    mutating func put(_ peer: Peer) {
        put(peer.process.value)
        put(peer.user.value)
        put(peer.command)
        put(peer.unit)
    }

    mutating func put(_ names: LockNames) {
        put(UInt8(names.count))
        put(names.first.spelling)
        for name in names.others { put(name.spelling) }
    }

    mutating func put(_ file: FileIdentity) {
        put(file.device)
        put(file.number)
    }

    mutating func put(_ process: ProcessIdentity) {
        put(process.pidfd)
        put(process.startTime)
    }

    /// How many bytes these take.
    static func byteCount(of text: Text?) -> Int { 2 + (text?.spelling.utf8.count ?? 0) }
    static func byteCount(of tag: Tag?) -> Int { 1 + (tag == nil ? 0 : Tag.maximumByteCount) }
    static func byteCount(of peer: Peer) -> Int { 8 + byteCount(of: peer.command) + byteCount(of: peer.unit) }
    static func byteCount(of names: LockNames) -> Int {
        names.others.reduce(3 + names.first.spelling.utf8.count) { $0 + 2 + $1.spelling.utf8.count }
    }
}
