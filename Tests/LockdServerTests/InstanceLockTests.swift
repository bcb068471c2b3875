import Foundation
import Glibc
import Testing

@testable import LockdServer

@Suite struct InstanceLockTests {
    private let directory: TemporaryDirectory
    private var path: String { directory.path + "/lock" }

    init() throws {
        directory = try TemporaryDirectory()
    }

    @Test func secondOneIsToldWhoHasIt() throws {
        let first = try InstanceLock(path: path)
        let error = #expect(throws: InstanceLock.Taken.self) { try InstanceLock(path: path) }
        #expect(error?.path == path)
        #expect(error?.process == "\(getpid())")
        withExtendedLifetime(first) {}
    }

    @Test func lockEndsWithItsOwnerAndItsFileStays() throws {
        do {
            let first = try InstanceLock(path: path)
            withExtendedLifetime(first) {}
        }
        #expect(FileManager.default.fileExists(atPath: path))
        _ = try InstanceLock(path: path)
    }

    @Test func fileHoldsThePidAlone() throws {
        try Data("12345678901234567890, from another time\n".utf8).write(to: URL(filePath: path))
        let lock = try InstanceLock(path: path)
        #expect(try String(contentsOfFile: path, encoding: .utf8) == "\(getpid())\n")
        withExtendedLifetime(lock) {}
    }

    @Test(arguments: ["", "nonsense\n", "1", "-1\n"])
    func strangeContentsAreNoPid(_ contents: String) throws {
        let lock = try InstanceLock(path: path)
        try Data(contents.utf8).write(to: URL(filePath: path))
        let error = #expect(throws: InstanceLock.Taken.self) { try InstanceLock(path: path) }
        #expect(error?.process == nil)
        withExtendedLifetime(lock) {}
    }

    @Test func pidOfAProcessThatHasEndedIsNotNamed() throws {
        let lock = try InstanceLock(path: path)
        // No process has this number: it is the largest that there can be.
        try Data("4194304\n".utf8).write(to: URL(filePath: path))
        let error = #expect(throws: InstanceLock.Taken.self) { try InstanceLock(path: path) }
        #expect(error?.process == nil)
        withExtendedLifetime(lock) {}
    }

    @Test func symbolicLinkIsNotFollowed() throws {
        let target = directory.path + "/target"
        try Data("precious".utf8).write(to: URL(filePath: target))
        try FileManager.default.createSymbolicLink(atPath: path, withDestinationPath: target)
        #expect(throws: SystemError.self) { try InstanceLock(path: path) }
        #expect(try String(contentsOfFile: target, encoding: .utf8) == "precious")
    }

    /// Whoever may open the file, if only for reading, may lock it, and keep the daemon from starting.
    @Test func fileIsForItsOwnerOnly() throws {
        let lock = try InstanceLock(path: path)
        let attributes = try FileManager.default.attributesOfItem(atPath: path)
        #expect(attributes[.posixPermissions] as? Int == 0o600)
        withExtendedLifetime(lock) {}
    }

    @Test(arguments: ["directory", "pipe"])
    func whatIsNoFileIsRefused(_ kind: String) throws {
        if kind == "pipe" {
            _ = try check("mkfifo") { mkfifo(path, 0o600) }
        } else {
            try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: false)
        }
        let error = #expect(throws: SystemError.self) { try InstanceLock(path: path) }
        #expect(error?.description.contains(path) == true)
    }

    @Test func missingDirectoryIsNamed() throws {
        let error = #expect(throws: SystemError.self) { try InstanceLock(path: directory.path + "/none/lock") }
        #expect(error?.description == "open \(directory.path)/none/lock: No such file or directory")
    }

    @Test func messageSaysWhatToDo() {
        let known = InstanceLock.Taken(path: "/s/lock", process: "17")
        #expect(
            known.description
                == "lockd with pid 17 is running already and holds /s/lock; stop it first, or give this one another place"
        )
        #expect(InstanceLock.Taken(path: "/s/lock", process: nil).description.hasPrefix("another lockd is running"))
    }
}
