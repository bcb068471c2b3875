import ArgumentParser
import LockdModel
import Testing

@testable import lockctl

@Suite struct CommandLineTests {
    private func parseRun(_ arguments: [String]) throws -> Run {
        try #require(Lockctl.parseAsRoot(Lockctl.prepared(["run"] + arguments)) as? Run)
    }

    @Test func runTakesTheNameAndEverythingBehindTheTerminator() throws {
        let command = try parseRun(["-w", "10s", "reports/nightly", "--", "make", "-n", "--", "report"])
        #expect(command.names == [try LockName("reports/nightly")])
        #expect(command.command == ["make", "-n", "--", "report"])
        #expect(command.options.waitTimeout == .seconds(10))
    }

    @Test func aNegativeValueIsThatOfTheOptionBeforeIt() {
        #expect(
            Lockctl.prepared(["run", "-w", "-5s", "a", "--", "b", "-w", "-5s"]) == [
                "run", "-w=-5s", "a", "--command", ":b", ":-w", ":-5s",
            ]
        )
        #expect(Lockctl.prepared(["wait", "-w-5s", "a"]) == ["wait", "-w=-5s", "a"])
        #expect(Lockctl.prepared(["wait", "--wait", "-.5s", "a"]) == ["wait", "--wait=-.5s", "a"])
        for words in [
            ["show", "-5"], ["show", "--", "-5"], ["show", "-w=1s", "-5"], ["flock", "-w", "-1", "a", "b"],
        ] {
            #expect(Lockctl.prepared(words) == words)
        }
    }

    @Test func otherCommandsTakeTheirTerminatorAsItIs() throws {
        #expect(Lockctl.prepared(["show", "--", "-a"]) == ["show", "--", "-a"])
        #expect(Lockctl.prepared(["run", "a"]) == ["run", "a"])
        #expect(Lockctl.prepared(["run", "a", "--", "b", "--"]) == ["run", "a", "--command", ":b", ":--"])
    }

    @Test(arguments: [
        ["--help"], ["-h"], ["--version"], ["echo", "--help"], ["echo", "-h", "--version"], ["echo", "-n", "-w", "-q"],
        ["echo", "--note", "x"], ["echo", "--command", "x"], ["echo", "", "-"], ["--"], ["-x", "--y=z"],
        ["--generate-completion-script"], ["help"],
    ])
    func everythingBehindTheTerminatorIsTheCommands(words: [String]) throws {
        let command = try parseRun(["-n", "a", "b", "--"] + words)
        #expect(command.command == words)
        #expect(command.note == nil)
    }

    @Test(arguments: [
        ("histroy", "there is no command \"histroy\"; did you mean \"history\"? lockctl --help lists all of them"),
        ("hlep", "there is no command \"hlep\"; did you mean \"help\"? lockctl --help lists all of them"),
        ("lst", "there is no command \"lst\"; did you mean \"ls\"? lockctl --help lists all of them"),
        ("Hist", "there is no command \"Hist\"; did you mean \"history\"? lockctl --help lists all of them"),
        ("frobnicate", "there is no command \"frobnicate\". lockctl --help lists all of them"),
        ("", "there is no command \"\". lockctl --help lists all of them"),
        ("a\u{1B}[2J", "there is no command \"a%1B[2J\". lockctl --help lists all of them"),
    ])
    func aCommandThatThereIsNotIsNamedWithTheOneThatWasMeant(word: String, expected: String) {
        #expect(Lockctl.objection(to: [word, "db"]) == expected)
    }

    @Test(arguments: [
        [], ["--help"], ["-h"], ["--version"], ["help"], ["help", "ls"], ["help", "-h"], ["--json"], ["ls"],
        ["---completion", "x"],
    ])
    func whatIsACommandOrNoneIsLeftToTheParser(arguments: [String]) {
        #expect(Lockctl.objection(to: arguments) == nil)
        for command in Lockctl.configuration.subcommands {
            #expect(Lockctl.objection(to: [command._commandName]) == nil)
        }
    }

    @Test(arguments: [CompletionShell.bash, .zsh, .fish])
    func scriptsOfShellsKnowEveryOptionOfFlock(shell: CompletionShell) {
        let script = CompletionScript.text(for: shell)
        for (name, takesValue, _) in FlockArguments.longOptions where !["help", "version"].contains(name) {
            // The longer form is only there to be cut.
            let name = name == "nonblocking" ? "nonblock" : name
            #expect(script.contains(shell == .fish ? "-l '\(name)'" : "--\(name)"), "\(name)")
            // Where its value is, no command begins.
            let line = script.split(separator: "\n").first {
                $0.contains("-w") && $0.contains("--start") && $0.contains("--fd")
            }
            let words = line?.split { " |)".contains($0) } ?? []
            if takesValue { #expect(words.contains("--\(name)"), "\(name)") }
        }
    }

    @Test(arguments: [
        (["--generate-completion-script", "zsh"], "zsh"), (["--generate-completion-script=fish"], "fish"),
        (["--generate-completion-script", "tcsh"], nil), (["--generate-completion-script="], nil), ([], nil),
        (["run", "--generate-completion-script", "zsh"], nil),
    ])
    func theShellIsTakenFromTheLine(arguments: [String], expected: String?) {
        #expect(CompletionScript.shell(askedForBy: arguments)?.rawValue == expected)
    }

    @Test func runTakesSeveralNames() throws {
        let command = try parseRun(["a", "-q", "b", "c", "--", "true"])
        #expect(command.names.map(\.spelling) == ["a", "b", "c"])
        #expect(command.command == ["true"])
        #expect(command.options.isQuiet)
    }

    @Test(arguments: [
        ([], "Missing expected argument '--pid"), (["--pid", "1"], "Missing expected argument '<names>"),
        (["--pid", "0", "a"], "0 is not the number of a process"), (["--pid", "x", "a"], "is invalid"),
        (["--pid", "1", "--ttl", "0s", "a"], "the lease would end as it begins"),
        (["--pid", "1", "a", "a"], "each name can be given once"),
    ])
    func acquireChecksWhatItIsBoundTo(arguments: [String], expected: String) {
        let error = #expect(throws: (any Error).self) { try Acquire.parse(arguments) }
        let message = error.map { Acquire.message(for: $0) } ?? ""
        #expect(message.contains(expected), "\(message)")
    }

    @Test func releaseAndRenewNeedTheToken() {
        #expect(throws: (any Error).self) { try Release.parse(["a"]) }
        #expect(throws: (any Error).self) { try Renew.parse(["a"]) }
        #expect(throws: (any Error).self) { try Renew.parse(["a", "--token", "7", "--ttl", "0s"]) }
        #expect(throws: Never.self) { try Release.parse(["a", "--token", "7"]) }
        #expect(throws: Never.self) { try Renew.parse(["a", "--token", "7", "--ttl", "30s"]) }
    }

    @Test(arguments: [
        (["a"], "the command is missing"), (["a", "--"], "the command is missing"),
        (["--", "true"], "Missing expected argument"),
        (["-n", "-w", "1s", "a", "--", "true"], "exclude each other"),
        (["-w", "10", "a", "--", "true"], "not a duration"), (["-w", "9999d", "a", "--", "true"], "too long"),
        (["", "--", "true"], "cannot be empty"),
        ([String(repeating: "x", count: 256), "--", "true"], "255 bytes at the most; this one has 256"),
        (["--progress", "plain", "-q", "a", "--", "true"], "exclude each other"),
        (["a", "b", "a", "--", "true"], "each name can be given once"),
        ((1...17).map(String.init) + ["--", "true"], "16 names at the most, and these are 17"),
        (["--note", "", "a", "--", "true"], "1 to 256 bytes; this one has 0"),
    ])
    func aWrongCommandLineIsNamed(arguments: [String], expected: String) {
        let error = #expect(throws: (any Error).self) { try parseRun(arguments) }
        let message = error.map { Lockctl.message(for: $0) } ?? ""
        #expect(message.contains(expected), "\(message)")
        #expect(error.map { Lockctl.exitCode(for: $0).rawValue } == 64)
    }

    @Test func revokeChecksItsReason() {
        #expect(throws: (any Error).self) { try Revoke.parse(["a", "--reason", ""]) }
        #expect(throws: (any Error).self) { try Revoke.parse(["a", "--token", "-1"]) }
        #expect(throws: Never.self) { try Revoke.parse(["a", "--token", "7", "--reason", "stuck"]) }
    }
}
