/// The name of a lock.
///
/// A name is 1 to 255 bytes, compared as bytes. It is kept in its canonical spelling (`docs/protocol.md`, *Grammar*),
/// which is ASCII, so that it can be written to a socket, a terminal or a log as it is, and two names are equal exactly
/// if their bytes are.
public struct LockName: Hashable, Sendable, CustomStringConvertible {
    /// The most bytes that a name may have, before escaping: Linux's NAME_MAX.
    public static let maximumByteCount = 255

    /// The canonical spelling: visible ASCII without `#`, `%` and `=`; every other byte as `%XX`.
    public let spelling: String

    /// A number made of the bytes and of a secret of this process: equal names have equal ones, others hardly ever.
    package let fingerprint: Fingerprint

    /// The name that a client spelled so on the wire.
    public init(parsing spelling: UnsafeRawBufferPointer) throws(EscapingProblem) {
        if let name = PlainName(spelling) {
            self.init(spelling: String(ascii: spelling), fingerprint: name.fingerprint)
        } else {
            try self.init(
                canonical: Escaping.canonicalSpelling(of: spelling, plain: .plainInNames, limit: Self.maximumByteCount)
            )
        }
    }

    /// The name that consists of `bytes`.
    public init(bytes: some Collection<UInt8>) throws(EscapingProblem) {
        try self.init(canonical: Escaping.spelling(of: bytes, plain: .plainInNames, limit: Self.maximumByteCount))
    }

    /// No name at all: what stands where a name will stand.
    package static let placeholder = LockName(canonical: "")

    private init(canonical spelling: String) {
        var spelling = spelling
        let fingerprint = spelling.withUTF8 { Fingerprint(of: UnsafeRawBufferPointer($0)) }
        self.init(spelling: spelling, fingerprint: fingerprint)
    }

    init(spelling: String, fingerprint: Fingerprint) {
        self.spelling = spelling
        self.fingerprint = fingerprint
    }

    /// The name that consists of the UTF-8 bytes of `string`; nothing in it is read as an escape.
    public init(_ string: String) throws(EscapingProblem) {
        try self.init(bytes: string.utf8)
    }

    /// The bytes of the name.
    public var bytes: [UInt8] { Escaping.bytes(ofCanonical: spelling) }

    /// Whether the bytes of this name begin with those of `prefix`.
    public func hasPrefix(_ prefix: LockName) -> Bool {
        // Each byte has one canonical spelling, and none of them begins another, so prefixes of spellings are prefixes
        // of bytes.
        spelling.utf8.starts(with: prefix.spelling.utf8)
    }

    /// Whether both are the same bytes.
    public static func == (left: Self, right: Self) -> Bool {
        left.fingerprint == right.fingerprint && left.spelling == right.spelling
    }

    /// Feeds the name into `hasher`.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(fingerprint)
    }

    /// The hash for dictionaries: the fingerprint is one already.
    public func _rawHashValue(seed: Int) -> Int { fingerprint._rawHashValue(seed: seed) }

    /// Whether `bytes` are the canonical spelling of this name.
    package func isSpelled(_ bytes: UnsafeRawBufferPointer) -> Bool {
        spelling.utf8.withContiguousStorageIfAvailable { UnsafeRawBufferPointer($0).isEqual(to: bytes) } ?? false
    }

    /// The canonical spelling.
    public var description: String { spelling }
}
