import LockdModel
import Testing

@testable import LockdCore

/// Locks that nobody holds or waits for are remembered, so many and no more, and nobody can tell.
@Suite struct IdleLockTests {
    @Test func idleLocksAreNotCountedOrListed() {
        let table = TableFixture()
        table.acquire("a", by: alice)
        table.acquire("b", by: alice)
        table.release("a", by: alice)
        #expect(table.lockCount == 1)
        #expect(table.idleLocks.count == 1)
        let (lines, _) = table.table.lines(withPrefix: nil, after: nil, lineLimit: 9, at: table.now)
        #expect(lines.count == 1)
        #expect(table.show("a") == [])
    }

    @Test func idleLockIsUsedAgain() {
        let table = TableFixture()
        for token in 1...3 as ClosedRange<UInt64> {
            #expect(table.acquire("a", by: alice) == [.granted("a", to: alice, token: FencingToken(token))])
            #expect(table.lockCount == 1)
            #expect(table.idleLocks.isEmpty)
            table.release("a", by: alice)
        }
        #expect(table.locks.slotCount == 1)
    }

    @Test func theLockThatHasRestedLongestIsForgottenFirst() {
        let table = TableFixture { $0.idleLocks = 2 }
        for name in ["a", "b", "a", "c", "d"] as [LockName] {
            table.acquire(LockNames(name), by: alice)
            table.release(name, by: alice)
        }
        let remembered = table.idleLocks.slots(in: table.locks).map { table.locks[$0].name }
        #expect(remembered == ["c", "d"])
        #expect((["a", "b", "c", "d"] as [LockName]).filter { table.table.lockSlot(of: $0) != nil } == ["c", "d"])
    }

    @Test func requestThatIsRefusedLeavesNoLock() {
        let table = TableFixture { $0.leasesPerSession = 1 }
        table.acquire("a", by: alice)
        table.acquire("b", by: alice)
        #expect(table.table.lockSlot(of: "b") == nil)
    }

    @Test func nothingIsRememberedIfNothingMayBe() {
        let table = TableFixture { $0.idleLocks = 0 }
        table.acquire("a", by: alice)
        table.release("a", by: alice)
        #expect(table.locks.count == 0)
    }
}
