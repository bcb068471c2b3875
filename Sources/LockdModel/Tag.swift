/// What a client calls one of its requests, so that the reply can be told from others; without the leading `#`.
public struct Tag: Hashable, Sendable, CustomStringConvertible {
    /// The most characters that a tag may have.
    public static let maximumByteCount = 32

    /// The characters of the tag: ASCII letters, digits, and `.`, `_`, `-`, `:`.
    public let spelling: String

    /// The tag with these characters, or nothing if they are not a tag's.
    public init?(parsing characters: UnsafeRawBufferPointer) {
        guard (1...Self.maximumByteCount).contains(characters.count), characters.allSatisfy(Self.isTagCharacter)
        else { return nil }
        spelling = String(ascii: characters)
    }

    /// The tag that is the decimal spelling of `number`.
    public init(_ number: UInt64) {
        spelling = String(number)
    }

    /// The characters of the tag, without `#`.
    public var description: String { spelling }

    private static func isTagCharacter(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"),
            UInt8(ascii: ":"):
            true
        default: false
        }
    }
}
