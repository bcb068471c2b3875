import CLinux
import Glibc
import LockdModel
import Testing

@testable import Systemd

@Suite struct NotifierTests {
    private let socket: NotifySocket
    private let notifier: Notifier

    init() throws {
        socket = try NotifySocket()
        notifier = try Notifier(socketName: socket.name)
    }

    @Test func saysThatTheServiceIsReadyReloadsAndStops() {
        #expect(notifier.ready(status: "serving 0 sessions") == .sent)
        #expect(notifier.extendTimeout(by: .seconds(3)) == .sent)
        #expect(notifier.stopping(status: "stopping") == .sent)
        #expect(notifier.keepAlive() == .sent)
        #expect(notifier.status("serving 1 session") == .sent)
        #expect(
            socket.readAll() == [
                ["READY=1", "STATUS=serving 0 sessions"],
                ["EXTEND_TIMEOUT_USEC=3000000"], ["STOPPING=1", "STATUS=stopping"], ["WATCHDOG=1"],
                ["STATUS=serving 1 session"],
            ]
        )
        #expect(!notifier.wantsOutput)
    }

    @Test func reloadingIsToldWithItsTime() throws {
        var (before, after) = (timespec(), timespec())
        clock_gettime(CLOCK_MONOTONIC, &before)
        #expect(notifier.reloading() == .sent)
        clock_gettime(CLOCK_MONOTONIC, &after)
        let lines = try #require(socket.read()).lines
        #expect(lines.first == "RELOADING=1")
        let time = try #require(lines.last.flatMap { Int($0.dropFirst("MONOTONIC_USEC=".count)) })
        #expect(lines.count == 2 && lines.last == "MONOTONIC_USEC=\(time)")
        let range = [before, after].map { $0.tv_sec * 1_000_000 + $0.tv_nsec / 1000 }
        #expect((range[0]...range[1]).contains(time))
    }

    @Test func aNameCanBeAbstract() throws {
        let socket = try NotifySocket(isAbstract: true)
        let notifier = try Notifier(socketName: socket.name)
        #expect(notifier.ready(status: "here") == .sent)
        #expect(socket.readAll() == [["READY=1", "STATUS=here"]])
    }

    @Test(arguments: [nil, ""])
    func withoutASocketNobodyIsTold(name: String?) throws {
        let notifier = try Notifier(socketName: name)
        #expect(notifier.descriptor == nil)
        #expect(notifier.ready(status: "") == .unsupported)
        #expect(notifier.status("") == .unsupported)
        #expect(notifier.keepAlive() == .unsupported)
        #expect(notifier.store([0], as: "lockd.bag") == .unsupported)
        #expect(notifier.flush() == .unsupported)
        #expect(notifier.flush(waitingAtMost: .seconds(60)) == .unsupported)
        #expect(!notifier.wantsOutput)
        let end = try notifier.barrier()
        defer { close(end) }
        #expect(hangsUp(end))
    }

    @Test(arguments: ["vsock:2:1234", "notify", "/", "@", "/" + String(repeating: "n", count: 107)])
    func anAddressOfAnotherKindIsRefused(name: String) {
        let error = #expect(throws: SystemdError.self) { try Notifier(socketName: name) }
        #expect(error?.description.hasPrefix("NOTIFY_SOCKET=\(name) is not a Unix socket; lockd needs a path") == true)
    }

    @Test func aSocketThatNobodyReadsIsAFailure() throws {
        let notifier = try Notifier(socketName: "/tmp/lockd-nobody-listens-here")
        #expect(notifier.ready(status: "") == .failed(ENOENT))
        #expect(notifier.status("") == .failed(ENOENT))
        // It was given up, and that was said.
        #expect(!notifier.wantsOutput)
        #expect(notifier.flush() == .sent)
        #expect(throws: SystemdError.self) { try notifier.barrier() }
    }

    @Test func anotherSocketInTheSamePlaceIsFound() throws {
        #expect(notifier.status("to the first") == .sent)
        socket.stop()
        #expect(notifier.status("to nobody") == .failed(ECONNREFUSED))
        unlink(socket.name)
        let second = try NotifySocket.listen(at: socket.name)
        #expect(notifier.status("to the second") == .sent)
        #expect(NotifySocket.read(second)?.lines == ["STATUS=to the second"])
        close(second)
        unlink(socket.name)
        let third = try NotifySocket.listen(at: socket.name)
        defer { close(third) }
        #expect(notifier.status("to the third") == .sent)
        #expect(NotifySocket.read(third)?.lines == ["STATUS=to the third"])
    }

    @Test func aStatusIsOneLineOfBoundedLength() {
        #expect(notifier.status("one\nREADY=1\u{7F}\r") == .sent)
        #expect(notifier.status(String(repeating: "ä", count: 2000)) == .sent)
        let messages = socket.readAll()
        #expect(messages.first == ["STATUS=one READY=1  "])
        #expect(messages.last == ["STATUS=" + String(repeating: "ä", count: 512)])
    }

    @Test func descriptorsAreStoredUnderAName() throws {
        let (input, output) = try pipe()
        defer { [input, output].forEach { close($0) } }
        #expect(notifier.store([input, output], as: "lockd.bag-1") == .sent)
        let message = try #require(socket.read())
        #expect(message.lines == ["FDSTORE=1", "FDNAME=lockd.bag-1", "FDPOLL=0"])
        #expect(message.descriptors.count == 2)
        #expect(zip(message.descriptors, [input, output]).allSatisfy { areSameFile($0, $1) })
        message.descriptors.forEach { close($0) }
        #expect(notifier.removeStored("lockd.bag-1") == .sent)
        #expect(socket.readAll() == [["FDSTOREREMOVE=1", "FDNAME=lockd.bag-1"]])
        // They are the caller's still.
        #expect(isOpen(input) && isOpen(output))
    }

    @Test func moreDescriptorsThanOneMessageTakesAreInSeveral() throws {
        let (input, output) = try pipe()
        defer { [input, output].forEach { close($0) } }
        #expect(notifier.store(Array(repeating: input, count: 300), as: "lockd.bag") == .sent)
        var counts: [Int] = []
        while let message = socket.read() {
            counts.append(message.descriptors.count)
            message.descriptors.forEach { close($0) }
        }
        #expect(counts == [253, 47])
    }

    @Test func aBarrierHangsUpWhenTheMessageIsWorkedOff() throws {
        let end = try notifier.barrier()
        defer { close(end) }
        #expect(!hasHungUp(end))
        let message = try #require(socket.read())
        #expect(message.lines == ["BARRIER=1"])
        #expect(!hasHungUp(end))
        message.descriptors.forEach { close($0) }
        #expect(hangsUp(end))
    }

    // MARK: A socket that is full

    @Test func whatMustArriveWaitsInItsOrder() throws {
        let others = try socket.fill()
        let (input, output) = try pipe()
        defer { close(output) }
        #expect(notifier.store([input], as: "lockd.bag") == .queued)
        // It is a copy that waits.
        close(input)
        let end = try notifier.barrier()
        defer { close(end) }
        #expect(notifier.removeStored("lockd.bag") == .queued)
        #expect(notifier.ready(status: "later") == .queued)
        #expect(notifier.wantsOutput)
        #expect(notifier.flush() == .queued)
        #expect(!hasHungUp(end))

        for _ in 0..<others { #expect(socket.read()?.lines == ["other"]) }
        #expect(notifier.flush() == .sent)
        #expect(!notifier.wantsOutput)
        let stored = try #require(socket.read())
        #expect(stored.lines.first == "FDSTORE=1")
        #expect(stored.descriptors.count == 1)
        stored.descriptors.forEach { close($0) }
        #expect(
            socket.readAll() == [["BARRIER=1"], ["FDSTOREREMOVE=1", "FDNAME=lockd.bag"], ["READY=1", "STATUS=later"]]
        )
        #expect(hangsUp(end))
    }

    @Test func ofStatusesAndSignsOfLifeOnlyTheLatestWaits() throws {
        let others = try socket.fill()
        for number in 1...3 {
            #expect(notifier.keepAlive() == .queued)
            #expect(notifier.status("number \(number)") == .queued)
        }
        for _ in 0..<others { #expect(socket.read()?.lines == ["other"]) }
        #expect(notifier.flush() == .sent)
        #expect(socket.readAll() == [["WATCHDOG=1"], ["STATUS=number 3"]])
    }

    @Test func noMoreWaitsThanMay() throws {
        let others = try socket.fill()
        for _ in 0..<Notifier.queueLimit { #expect(notifier.removeStored("lockd.bag") == .queued) }
        #expect(notifier.removeStored("lockd.bag") == .failed(ENOBUFS))
        for _ in 0..<others { #expect(socket.read()?.lines == ["other"]) }
        var count = 0
        while notifier.flush() == .queued { count += socket.readAll().count }
        count += socket.readAll().count
        #expect(count == Notifier.queueLimit)
    }

    @Test func whatWaitedAndCannotBeSentIsToldOnce() throws {
        _ = try socket.fill()
        #expect(notifier.removeStored("lockd.bag") == .queued)
        socket.stop()
        #expect(notifier.flush() == .failed(ECONNREFUSED))
        #expect(notifier.flush() == .sent)
    }

    @Test func theEndWaitsForRoomButNotForEver() throws {
        _ = try socket.fill()
        #expect(notifier.stopping(status: "") == .queued)
        #expect(notifier.flush(waitingAtMost: Milliseconds(1)) == .queued)
        #expect(notifier.wantsOutput)
    }

    private func pipe() throws -> (CInt, CInt) {
        var ends: [CInt] = [-1, -1]
        try #require(clinux_pipe(&ends) == 0)
        return (ends[0], ends[1])
    }

    /// Whether it has hung up, or does so soon: a process that another test is just starting has a copy of all descriptors, until it becomes its program.
    private func hangsUp(_ descriptor: CInt) -> Bool {
        var entry = pollfd(fd: descriptor, events: 0, revents: 0)
        return poll(&entry, 1, 30_000) == 1 && CInt(entry.revents) & POLLHUP != 0
    }

    private func hasHungUp(_ descriptor: CInt) -> Bool {
        var entry = pollfd(fd: descriptor, events: 0, revents: 0)
        return poll(&entry, 1, 0) == 1 && CInt(entry.revents) & POLLHUP != 0
    }
}
