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
        #expect(table.lines == ["NAME    PID    NOTE", "a       12345", "longer  1      x"])
    }

    @Test func whatIsSetOffHasNoWidth() {
        let ink = Ink(isColoured: true)
        var table = Table(header: ["NAME", "STATE"], emphasis: ["STATE": { _ in .good }])
        table.append(["a", "held "])
        table.append(["longer", ""])
        #expect(
            table.inkedLines.map { $0.written(with: ink) } == [
                "\u{1B}[1mNAME\u{1B}[0m    \u{1B}[1mSTATE\u{1B}[0m", "a       \u{1B}[32mheld\u{1B}[0m", "longer",
            ]
        )
        #expect(table.lines == ["NAME    STATE", "a       held", "longer"])
        #expect(table.inkedLines.map { $0.written(with: Ink(isColoured: false)) } == table.lines)
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
