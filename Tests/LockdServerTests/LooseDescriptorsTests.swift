import Glibc
import LockdModel
import Testing

@testable import LockdServer

@Suite struct LooseDescriptorsTests {
    private let loose = LooseDescriptors(limit: 8, ownUser: UserID(1))
    private let alice = UserID(1000)
    private let bob = UserID(1001)

    @Test func descriptorIsClosedAndThenNotCounted() throws {
        let pipe = try Pipe()
        loose.add(1, of: alice)
        #expect(loose.count(of: alice) == 1)
        loose.close(pipe.takeReadEnd(), of: alice)
        #expect(pipe.losesItsReaders())
        awaitCount(0)
        #expect(loose.count(of: alice) == 0)
    }

    @Test func manyAreClosed() throws {
        let pipe = try Pipe()
        for number in 0..<200 {
            let user = UserID(UInt32(number % 20))
            loose.add(1, of: user)
            loose.close(try pipe.copyOfReadEnd(), of: user)
        }
        pipe.closeReadEnd()
        #expect(pipe.losesItsReaders())
        awaitCount(0)
    }

    @Test func closingThatHangsHoldsUpNobodyElse() throws {
        let hanging = try LingeringSocket()
        let (behind, others) = (try Pipe(), try Pipe())
        loose.add(2, of: alice)
        loose.close(hanging.takeDescriptor(), of: alice)
        loose.close(behind.takeReadEnd(), of: alice)
        loose.add(1, of: bob)
        loose.close(others.takeReadEnd(), of: bob)
        #expect(others.losesItsReaders())
        // Nor does any that comes later occupy a second thread.
        let (later, latest) = (try Pipe(), try Pipe())
        loose.add(1, of: alice)
        loose.close(later.takeReadEnd(), of: alice)
        loose.add(1, of: bob)
        loose.close(latest.takeReadEnd(), of: bob)
        #expect(latest.losesItsReaders())
        #expect(!later.losesItsReaders(within: 0))
        #expect(loose.count(of: alice) == 3)
        #expect(!behind.losesItsReaders(within: 0))
        hanging.letGo()
        #expect(behind.losesItsReaders())
        #expect(later.losesItsReaders())
        awaitCount(0)
    }

    @Test func whenAllThreadsHangTheRestWaits() throws {
        let hanging = try (0..<LooseDescriptors.threadLimit).map { _ in try LingeringSocket() }
        for (number, socket) in hanging.enumerated() {
            loose.add(1, of: UserID(UInt32(number)))
            loose.close(socket.takeDescriptor(), of: UserID(UInt32(number)))
        }
        let pipe = try Pipe()
        loose.add(1, of: alice)
        loose.close(pipe.takeReadEnd(), of: alice)
        #expect(!pipe.losesItsReaders(within: 0))
        hanging[3].letGo()
        #expect(pipe.losesItsReaders())
        hanging.forEach { $0.letGo() }
        awaitCount(0)
    }

    @Test func whatIsLeftAtTheEndIsClosed() throws {
        let pipe = try Pipe()
        do {
            let loose = LooseDescriptors(limit: 8)
            loose.add(1, of: alice)
            loose.close(pipe.takeReadEnd(), of: alice)
        }
        #expect(pipe.losesItsReaders())
    }

    @Test func userIsFullWithHalfOfWhatThereIs() {
        loose.add(3, of: alice)
        #expect(!loose.isFull(for: alice))
        loose.add(1, of: alice)
        #expect(loose.isFull(for: alice))
        #expect(!loose.isFull(for: bob))
        loose.takeOne(of: alice)
        #expect(!loose.isFull(for: alice))
    }

    @Test func everybodyIsFullWithAllThatThereIs() {
        loose.add(4, of: alice)
        loose.add(4, of: bob)
        #expect(loose.isFull(for: UserID(1002)))
        loose.takeOne(of: bob)
        #expect(!loose.isFull(for: UserID(1002)))
    }

    @Test func rootAndTheDaemonsUserAreNeverFull() {
        for user in [UserID.root, UserID(1)] {
            loose.add(100, of: user)
            #expect(!loose.isFull(for: user))
        }
    }

    /// The count goes down right behind close(), of which the last others may have had word already.
    private func awaitCount(_ count: Int) {
        let deadline = ContinuousClock.now + .seconds(20)
        while loose.count != count, ContinuousClock.now < deadline { sched_yield() }
        #expect(loose.count == count)
    }
}
