import LockdModel
import Testing

@testable import lockctl

@Suite struct DisplayTests {
    @Test(arguments: [
        (0, "0.0 s"), (340, "0.3 s"), (9999, "9.9 s"), (10_000, "10 s"), (59_999, "59 s"), (60_000, "1 min"),
        (192_000, "3 min 12 s"), (3_600_000, "1 h"), (3_601_000, "1 h"), (7_500_000, "2 h 5 min"),
        (86_400_000, "1 d"), (90_000_000, "1 d 1 h"), (86_460_000, "1 d"), (31_622_400_000, "366 d"),
    ])
    func timesAreSaidInTwoUnitsAtTheMost(milliseconds: Int64, expected: String) {
        #expect(Milliseconds(milliseconds).display == expected)
    }

    @Test func printableNamesAreShownAsTheyAre() throws {
        #expect(try LockName("reports/nightly").display == "reports/nightly")
        #expect(try LockName("Zürich 東京").display == "Zürich 東京")
    }

    @Test(arguments: [
        ("\u{1B}[31mred", "%1B[31mred"), ("a\u{202E}b", "a%E2%80%AEb"), ("a\nb", "a%0Ab"), ("50%", "50%25"),
        ("a\u{85}b", "a%C2%85b"),
    ])
    func whatCouldSteerATerminalIsEscaped(name: String, expected: String) throws {
        #expect(try LockName(name).display == expected)
    }

    @Test func bytesThatAreNoTextAreEscapedOneByOne() throws {
        #expect(try LockName(bytes: [0x61, 0xFF, 0x20, 0xC3]).display == "a%FF %C3")
    }

    @Test func columnsAreAsWideAsTheirWidestWord() {
        var table = Table(header: ["NAME", "PID", "NOTE"])
        table.append(["a", "12345", ""])
        table.append(["longer", "1", "x"])
        let lines = table.lines
        #expect(lines == ["NAME    PID    NOTE", "a       12345", "longer  1      x"])
    }

    @Test func whatIsSetOffHasNoWidth() {
        let ink = Ink(isColoured: true)
        var table = Table(header: ["NAME", "STATE"], emphasis: ["STATE": { _ in .good }])
        table.append(["a", "held "])
        table.append(["longer", ""])
        let written = (0..<table.lineCount).map { table.inkedLine($0).written(with: ink) }
        #expect(
            written == [
                "\u{1B}[1mNAME\u{1B}[0m    \u{1B}[1mSTATE\u{1B}[0m", "a       \u{1B}[32mheld\u{1B}[0m", "longer",
            ]
        )
        let lines = table.lines
        #expect(lines == ["NAME    STATE", "a       held", "longer"])
    }

    @Test func wordsAreAsWideAsTheTerminalHasThem() {
        var table = Table(header: ["A", "B", "C"])
        table.append(["", "e\u{301}te", "x"])
        table.append(["   ", "👩‍👩‍👧 東京", "  "])
        table.append(["", " ", ""])
        table.append(["\u{301}", "", " \u{301} "])
        let lines = table.lines
        #expect(
            lines == ["A    B        C", "     e\u{301}te      x", "     👩‍👩‍👧 東京", "", "\u{301}               \u{301}"]
        )
        let plain = (0..<table.lineCount).map { table.inkedLine($0).plain }
        #expect(plain == lines)
    }

    @Test(arguments: [
        (32, "NAME  STATE  TOKEN  NOTE"), (31, "NAME  STATE  NOTE"), (25, "NAME  STATE  NOTE"), (24, "NAME  NOTE"),
        (1, "NAME  NOTE"),
    ])
    func whereThereIsNoRoomThoseColumnsGoFirstThatMatterLeast(width: Int, header: String) {
        var table = Table(header: ["NAME", "STATE", "TOKEN", "NOTE"])
        table.append(["a", "held", "1", "a note that is long, and is cut off"])
        table.fit(width, leavingOut: ["TOKEN", "STATE"])
        let lines = table.lines
        #expect(lines[0] == header)
    }

    @Test(arguments: [
        (0, "0 bytes"), (1, "1 byte"), (1023, "1023 bytes"), (1024, "1 KiB"), (1536, "1.5 KiB"),
        (1_048_575, "1023.9 KiB"), (67_108_864, "64 MiB"), (1 << 30, "1 GiB"), (3 << 40, "3 TiB"),
        (1 << 53, "8192 TiB"),
    ])
    func memoryIsSaidInTheLargestUnit(count: Int64, expected: String) {
        #expect(Bytes(count).display == expected)
    }

    @Test func columnsAreShownAsAskedFor() {
        func table() -> Table {
            var table = Table(header: ["NAME", "UNIT", "NOTE"])
            table.append(["a", "", "1"])
            table.append(["b", "", "22"])
            return table
        }
        var hiding = table()
        hiding.hide(empty: ["UNIT", "NOTE"])
        let hidden = hiding.lines
        #expect(hidden == ["NAME  NOTE", "a     1", "b     22"])
        var choosing = table()
        choosing.show(only: ["NOTE", "NAME", "NOTE", "UNIT"])
        let chosen = choosing.lines
        #expect(chosen == ["NOTE  NAME  NOTE  UNIT", "1     a     1", "22    b     22"])
        let plain = (0..<choosing.lineCount).map { choosing.inkedLine($0).plain }
        #expect(plain == chosen)
    }

    @Test func linesAreCutAsTheyAreRead() {
        let line = InkedLine([("ab", .good), ("  ", nil), ("東京東京", .wrong), ("rest", nil)])
        for columns in 2...20 {
            let cut = line.cut(columns: columns)
            #expect(cut.plain == Terminal.cut(line.plain, columns: columns))
            #expect(cut.written(with: Ink(isColoured: false)) == cut.plain)
        }
        let written = line.cut(columns: 9).written(with: Ink(isColoured: true))
        #expect(written == "\u{1B}[32mab\u{1B}[0m  \u{1B}[31m東\u{1B}[0m…")
    }

    @Test func jsonIsOneLineOfASCII() {
        let value = JSON.object([
            ("name", .string("a\"\\\n\u{7F}é😀")), ("count", .integer(3)), ("none", .integer(Int?.none)),
            ("list", .array([.bool(true), .null, .text(nil), .text("x")])),
        ])
        #expect(
            value.line
                == #"{"name":"a\"\\\u000a\u007f\u00e9\ud83d\ude00","count":3,"none":null,"list":[true,null,null,"x"]}"#
        )
    }

    @Test func objectsAreWrittenMemberByMemberAsTheyAreInOnePiece() {
        let inner = JSON.object { object in
            object.write(member: "open", .string("{"))
            object.write(member: "least", .integer(Int64.min))
            object.write(member: "none", .null)
        }
        #expect(inner.line == #"{"open":"{","least":-9223372036854775808,"none":null}"#)
        #expect(JSON.array([inner, .object { _ in }]).line == "[\(inner.line),{}]")
    }

    @Test(arguments: [
        0, 9, 10, 99, 100, 1_795_661_027_086_452, .max - 1, .max, 10_000_000_000_000_000_000, 9_999_999_999_999_999_999,
    ])
    func numbersHaveAllTheirDigits(number: UInt64) {
        var bytes = ByteBuffer()
        bytes.write(number)
        let text = bytes.text(0..<bytes.count)
        #expect(text == "\(number)")
    }

    @Test func bytesStayWhileThereAreMore() {
        var bytes = ByteBuffer()
        for number in 0..<1000 {
            bytes.write(text: "\(number)")
            bytes.write(spaces: number % 3)
        }
        let text = bytes.text(0..<bytes.count)
        #expect(text == (0..<1000).map { "\($0)" + String(repeating: " ", count: $0 % 3) }.joined())
    }
}

@Suite struct ClockFindingTests {
    private let now = WallTime(milliseconds: 1_795_657_460_000)

    private func verdict(began: Int64, uptime: String, at now: WallTime? = nil) -> Finding.Verdict {
        Examination.clock(["start-time": "\(began)", "uptime": uptime], at: now ?? self.now).verdict
    }

    @Test func clockThatGoesOnIsGood() {
        #expect(verdict(began: now.milliseconds - 5000, uptime: "5000ms") == .good)
        #expect(verdict(began: now.milliseconds - 5000, uptime: "5100ms") == .good)
        #expect(Examination.clock([:], at: now).verdict == .good)
    }

    @Test func clockThatWasSetForwardOrStoodStillDuringASuspensionIsGood() {
        #expect(verdict(began: now.milliseconds - 3_600_000, uptime: "5s") == .good)
    }

    @Test func clockThatWasSetBackIsAWarning() {
        #expect(verdict(began: now.milliseconds, uptime: "5m") == .warning)
        #expect(verdict(began: now.milliseconds + 1000, uptime: "5s") == .warning)
    }

    @Test func clockOfLongAgoIsWrong() {
        #expect(verdict(began: 0, uptime: "5s", at: WallTime(milliseconds: 5000)) == .wrong)
    }
}
