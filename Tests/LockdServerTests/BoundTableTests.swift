import CLinux
import Glibc
import LockdModel
import Testing

@testable import LockdServer

@Suite struct BoundTableTests {
    private let epoll: Epoll
    private let table: BoundTable
    private let own = Peer(process: ProcessID(getpid()), user: UserID(geteuid()))

    init() throws {
        epoll = try Epoll()
        table = BoundTable(limit: 3, epoll: epoll, loose: LooseDescriptors(limit: 100))
    }

    @Test func endOfAProcessIsToldOnce() throws {
        let child = try Child()
        let id = try insert(try check("pidfd_open") { clinux_pidfd_open(child.process) }, .pidfd)
        #expect(try ended() == [])
        child.kill()
        #expect(try ended(within: 20_000) == [id])
        #expect(try ended() == [])
        #expect(table[id]?.peer.process == ProcessID(child.process), "until it is released, it is there")
        table.release(id)
        #expect(table[id] == nil)
    }

    @Test func remainsOfAProcessAreItsEnd() throws {
        let child = try Child()
        let id = try insert(try check("pidfd_open") { clinux_pidfd_open(child.process) }, .pidfd)
        child.killWithoutReaping()
        #expect(try ended(within: 20_000) == [id])
        child.kill()
        table.release(id)
    }

    @Test func endOfTheLastWriterIsToldAndWhatIsWrittenIsNot() throws {
        let pipe = try Pipe()
        let id = try insert(pipe.takeReadEnd(), .pipe)
        write(pipe.writeEnd, "data", 4)
        #expect(try ended() == [])
        pipe.closeWriteEnd()
        #expect(try ended(within: 20_000) == [id])
        table.release(id)
    }

    @Test func whoeverInheritsTheWriteEndKeepsIt() throws {
        let pipe = try Pipe()
        let child = try Child(inheriting: pipe.writeEnd)
        let id = try insert(pipe.takeReadEnd(), .pipe)
        pipe.closeWriteEnd()
        #expect(try ended() == [])
        child.kill()
        #expect(try ended(within: 20_000) == [id])
        table.release(id)
    }

    @Test func pipeThatNobodyCanWriteToHasEnded() throws {
        let pipe = try Pipe()
        pipe.closeWriteEnd()
        let id = try insert(pipe.takeReadEnd(), .pipe)
        #expect(try ended() == [id])
        table.release(id)
    }

    @Test func releasedDescriptorIsClosed() throws {
        let pipe = try Pipe()
        let id = try insert(pipe.takeReadEnd(), .pipe)
        #expect(!pipe.losesItsReaders(within: 0))
        table.release(id)
        #expect(pipe.losesItsReaders())
        table.release(id)
        #expect(table.count == 0)
    }

    @Test func nothingIsToldOfWhatWasReleasedThoughItsSenderHasItStill() throws {
        let pipe = try Pipe()
        table.release(try insert(try pipe.copyOfReadEnd(), .pipe))
        pipe.closeWriteEnd()
        #expect(try ended() == [])
        #expect(try epoll.wait(timeout: 0) == 0)
    }

    @Test func copiesOfOneDescriptorEndEachForItself() throws {
        let pipe = try Pipe()
        let first = try insert(try pipe.copyOfReadEnd(), .pipe)
        let second = try insert(pipe.takeReadEnd(), .pipe)
        let third = try insert(try check("pidfd_open") { clinux_pidfd_open(getpid()) }, .pidfd)
        table.release(first)
        pipe.closeWriteEnd()
        #expect(try ended(within: 20_000) == [second])
        table.release(second)
        table.release(third)
    }

    @Test func eventOfAFormerOneInTheSamePlaceIsOverlooked() throws {
        let (former, latter) = (try Pipe(), try Pipe())
        let first = try insert(former.takeReadEnd(), .pipe)
        former.closeWriteEnd()
        #expect(try epoll.wait(timeout: 20_000) == 1)
        let key = epoll.readiness(at: 0).key
        #expect(key.kind == .bound)
        table.release(first)
        let second = try insert(latter.takeReadEnd(), .pipe)
        #expect(table.takeEnded(key) == nil)
        #expect(table[first] == nil)
        #expect(table[second] != nil)
        table.release(second)
    }

    @Test func thereIsRoomForSoMany() throws {
        let pipe = try Pipe()
        let ids = try (0..<3).map { _ in try insert(try pipe.copyOfReadEnd(), .pipe) }
        #expect(Set(ids).count == 3)
        #expect(table.isFull)
        table.release(ids[1])
        #expect(!table.isFull)
        table.releaseAll()
        #expect(table.count == 0)
        pipe.closeReadEnd()
        #expect(pipe.losesItsReaders())
    }

    private func insert(_ descriptor: CInt, _ kind: Binding) throws -> BoundID {
        try table.insert(try BoundDescriptor(checking: descriptor, as: kind, from: own))
    }

    /// What has ended, after waiting for the first.
    private func ended(within milliseconds: CInt = 0) throws -> [BoundID] {
        let count = try epoll.wait(timeout: milliseconds)
        return (0..<count).compactMap { table.takeEnded(epoll.readiness(at: $0).key) }
    }
}
