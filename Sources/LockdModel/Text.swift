/// A short text from a client: an owner, a note, a reason, the name of a client library.
///
/// The bytes are a stranger's; like ``LockName`` they are kept in their canonical spelling, which is visible ASCII.
public struct Text: Hashable, Sendable, CustomStringConvertible {
    /// The most bytes of an owner or of a client library's name, before escaping.
    public static let shortLimit = 64
    /// The most bytes of a note or of a reason, before escaping.
    public static let longLimit = 256

    /// The canonical spelling: visible ASCII without `%`; every other byte as `%XX`.
    public var spelling: String { box.spelling }

    /// Texts are rare and travel far: one reference is cheap to hand on, and to leave out.
    private final class Box: Sendable {
        let spelling: String
        init(_ spelling: String) { self.spelling = spelling }
    }

    private let box: Box

    /// The text that a client spelled so on the wire, of at most `limit` bytes.
    public init(parsing spelling: UnsafeRawBufferPointer, limit: Int) throws(EscapingProblem) {
        box = Box(try Escaping.canonicalSpelling(of: spelling, plain: .plainInTexts, limit: limit))
    }

    /// The text that consists of `bytes`, at most `limit` of them.
    public init(bytes: some Collection<UInt8>, limit: Int) throws(EscapingProblem) {
        box = Box(try Escaping.spelling(of: bytes, plain: .plainInTexts, limit: limit))
    }

    /// The text that consists of the UTF-8 bytes of `string`, at most `limit` of them.
    public init(_ string: String, limit: Int) throws(EscapingProblem) {
        try self.init(bytes: string.utf8, limit: limit)
    }

    /// A tag as a line spells it, with its `#`.
    public init(_ tag: Tag) {
        box = Box("#" + tag.spelling)
    }

    /// The UTF-8 bytes of `string`, as many of them as `limit` allows; nothing if there are none.
    public init?(cutting string: String, limit: Int) {
        guard let text = try? Text(bytes: string.utf8.prefix(limit), limit: limit) else { return nil }
        self = text
    }

    /// The bytes of the text.
    public var bytes: [UInt8] { Escaping.bytes(ofCanonical: spelling) }

    /// Whether both are the same bytes.
    public static func == (left: Self, right: Self) -> Bool { left.spelling == right.spelling }

    /// Feeds the text into `hasher`.
    public func hash(into hasher: inout Hasher) { hasher.combine(spelling) }

    /// The canonical spelling.
    public var description: String { spelling }
}
