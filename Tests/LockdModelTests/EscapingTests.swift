import LockdModel
import Testing

/// Names and texts: bytes and their spellings.
@Suite struct EscapingTests {
    private func name(spelled spelling: String) throws(EscapingProblem) -> LockName {
        try name(spelled: Array(spelling.utf8))
    }

    private func name(spelled spelling: [UInt8]) throws(EscapingProblem) -> LockName {
        let result = spelling.withUnsafeBytes { spelling in
            Result { () throws(EscapingProblem) in try LockName(parsing: spelling) }
        }
        return try result.get()
    }

    private func text(spelled spelling: String, limit: Int = 64) throws(EscapingProblem) -> Text {
        let result = Array(spelling.utf8).withUnsafeBytes { spelling in
            Result { () throws(EscapingProblem) in try Text(parsing: spelling, limit: limit) }
        }
        return try result.get()
    }

    @Test func visibleCharactersOfANameStandForThemselves() throws {
        let plain = (UInt8(0x21)...0x7E).filter { !"#%=".utf8.contains($0) }
        #expect(plain.count == 91)
        let name = try LockName(bytes: plain)
        #expect(Array(name.spelling.utf8) == plain)
        #expect(name.bytes == plain)
        #expect(try self.name(spelled: plain) == name)
        #expect(name.description == name.spelling)
    }

    @Test func everyOtherByteOfANameIsEscapedWithCapitalDigits() throws {
        for byte in UInt8.min...UInt8.max {
            guard !(0x21...0x7E).contains(byte) || "#%=".utf8.contains(byte) else { continue }
            let digits = (byte < 16 ? "0" : "") + String(byte, radix: 16)
            let name = try LockName(bytes: [byte])
            #expect(name.spelling == "%" + digits.uppercased())
            #expect(name.bytes == [byte])
            #expect(try self.name(spelled: "%" + digits) == name)
            #expect(try self.name(spelled: "%" + digits.uppercased()) == name)
        }
    }

    @Test func aTextSpellsTwoMoreCharactersThanAName() throws {
        #expect(try Text("a=#%b c", limit: 64).spelling == "a=#%25b%20c")
        #expect(try text(spelled: "a=#%25b%20c") == Text("a=#%b c", limit: 64))
        #expect(try LockName("a=#%b c").spelling == "a%3D%23%25b%20c")
    }

    @Test func needlessEscapesAreTheSameName() throws {
        #expect(try name(spelled: "%61%2f%62") == LockName("a/b"))
        #expect(try name(spelled: "%61%2f%62").spelling == "a/b")
    }

    @Test func theTwoSpellingsOfAnAccentAreTwoNames() throws {
        let composed = try LockName("\u{E9}")
        let decomposed = try LockName("e\u{301}")
        #expect("\u{E9}" == "e\u{301}", "Swift's strings are equal, and that is what must not decide")
        #expect(composed != decomposed)
        #expect(composed.spelling == "%C3%A9")
        #expect(try name(spelled: [0xC3, 0xA9]) == composed)
    }

    @Test func nothingInAStringIsReadAsAnEscape() throws {
        #expect(try LockName("%41").bytes == Array("%41".utf8))
        #expect(try Text("%41", limit: 3).bytes == Array("%41".utf8))
    }

    @Test(arguments: ["%", "%4", "a%", "a%4", "%g1", "%1g", "%%41", "a b", "#", "a=b", "\u{7F}", "%41\t"])
    func aBadSpellingIsNoName(spelling: String) {
        #expect(throws: EscapingProblem.badSpelling) { try name(spelled: spelling) }
    }

    @Test func nothingIsNoNameAndNoText() {
        #expect(throws: EscapingProblem.empty) { try name(spelled: "") }
        #expect(throws: EscapingProblem.empty) { try LockName("") }
        #expect(throws: EscapingProblem.empty) { try text(spelled: "") }
        #expect(throws: EscapingProblem.empty) { try Text(bytes: [], limit: 64) }
    }

    @Test func theLimitCountsBytesBeforeEscaping() throws {
        let longest = [UInt8](repeating: 0xFF, count: 255)
        #expect(try LockName(bytes: longest).bytes == longest)
        #expect(throws: EscapingProblem.tooLong(limit: 255)) { try LockName(bytes: longest + [0xFF]) }
        #expect(throws: EscapingProblem.tooLong(limit: 255)) { try name(spelled: [UInt8](repeating: 0x61, count: 256)) }
        #expect(throws: EscapingProblem.tooLong(limit: 255)) { try name(spelled: longest + [0xFF]) }
        #expect(try text(spelled: "%FF%FF", limit: 2).bytes == [0xFF, 0xFF])
        #expect(throws: EscapingProblem.tooLong(limit: 2)) { try text(spelled: "abc", limit: 2) }
        #expect(throws: EscapingProblem.tooLong(limit: 2)) { try Text("abc", limit: 2) }
    }

    @Test func aPrefixIsOneOfBytes() throws {
        let name = try LockName("a\u{E9}b")
        #expect(name.hasPrefix(try LockName("a")))
        #expect(name.hasPrefix(try LockName(bytes: [0x61, 0xC3])))
        #expect(name.hasPrefix(name))
        #expect(!name.hasPrefix(try LockName("e")))
        #expect(!name.hasPrefix(try LockName("a\u{E9}bc")))
        // The spelling of the one begins with that of a part of the other, but for its escape.
        #expect(!(try LockName(bytes: [0xC3]).hasPrefix(LockName(bytes: [0xC0]))))
    }

    @Test func aTextIsDescribedByItsSpelling() throws {
        #expect(try Text("a b", limit: 3).description == "a%20b")
    }

    @Test func aTagIsATextWithItsMark() throws {
        #expect(Text(LockdModel.Tag(7)) == (try Text("#7", limit: 2)))
    }

    @Test func aTextIsCutToItsLimit() throws {
        #expect(Text(cutting: "gunicorn: worker", limit: 8) == (try Text("gunicorn", limit: 8)))
        #expect(Text(cutting: "sh", limit: 8) == (try Text("sh", limit: 8)))
        #expect(Text(cutting: "e\u{301}", limit: 2)?.bytes == [0x65, 0xCC])
        #expect(Text(cutting: "", limit: 8) == nil)
    }
}
