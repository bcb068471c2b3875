import ArgumentParser
import LockdModel
import Testing

@testable import lockctl

@Suite struct CommandLineTests {
    @Test func runTakesTheNameAndEverythingBehindTheTerminator() throws {
        let command = try Run.parse(["-w", "10s", "reports/nightly", "--", "make", "-n", "--", "report"])
        #expect(command.name == (try LockName("reports/nightly")))
        #expect(command.command == ["make", "-n", "--", "report"])
        #expect(command.waitTimeout == .seconds(10))
    }

    @Test(arguments: [
        (["a"], "Missing expected argument '-- <command> ...'"),
        (["-n", "-w", "1s", "a", "--", "true"], "exclude each other"),
        (["-w", "10", "a", "--", "true"], "not a duration"), (["-w", "9999d", "a", "--", "true"], "too long"),
        (["", "--", "true"], "cannot be empty"),
        ([String(repeating: "x", count: 256), "--", "true"], "255 bytes at the most; this one has 256"),
        (["--note", "", "a", "--", "true"], "1 to 256 bytes; this one has 0"),
    ])
    func aWrongCommandLineIsNamed(arguments: [String], expected: String) {
        let error = #expect(throws: (any Error).self) { try Run.parse(arguments) }
        let message = error.map { Run.message(for: $0) } ?? ""
        #expect(message.contains(expected), "\(message)")
        #expect(error.map { Run.exitCode(for: $0).rawValue } == 64)
    }

    @Test func revokeChecksItsReason() {
        #expect(throws: (any Error).self) { try Revoke.parse(["a", "--reason", ""]) }
        #expect(throws: (any Error).self) { try Revoke.parse(["a", "--token", "-1"]) }
        #expect(throws: Never.self) { try Revoke.parse(["a", "--token", "7", "--reason", "stuck"]) }
    }
}
