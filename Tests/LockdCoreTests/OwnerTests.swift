import LockdCore
import LockdModel
import Testing

@Suite struct OwnerTests {
    @Test func untaggedRequestsOfASessionHaveOneOwner() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.acquire("db", by: alice) == [.held("db", by: alice, token: 1)])
        #expect(table.leaseCount == 1)
        #expect(table.totals.granted == 1)
    }

    @Test func heldBeatsBusy() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        #expect(table.acquire("db", by: alice, wait: .none) == [.held("db", by: alice, token: 1)])
    }

    @Test func heldChangesNothing() {
        let table = TableFixture()
        table.acquire("db", by: alice, ttl: .seconds(10), note: "first")
        table.advance(.seconds(4))
        #expect(
            table.acquire("db", by: alice, ttl: .seconds(60), note: "second")
                == [.held("db", by: alice, token: 1, ttl: .seconds(10))]
        )
        #expect(table.nextDeadline() == .seconds(6))
        guard case .lease(let line) = table.show("db").first else {
            Issue.record("no lease")
            return
        }
        #expect(line.note == "first")
    }

    @Test func namedOwnerIsTheSameUnderEveryTag() {
        let table = TableFixture()
        table.acquire("db", by: alice.tagged("1"), owner: "writer")
        #expect(
            table.acquire("db", by: alice.tagged("2"), owner: "writer")
                == [.held("db", by: alice.tagged("2"), token: 1)]
        )
        #expect(table.acquire("db", by: alice, owner: "writer") == [.held("db", by: alice, token: 1)])
    }

    @Test func taggedRequestWithoutOwnerIsNobodyElse() {
        let table = TableFixture()
        table.acquire("db", by: alice.tagged("1"))
        #expect(table.acquire("db", by: alice.tagged("1")) == [])
        #expect(table.waiterCount == 1)
    }

    @Test(arguments: [
        (alice, nil as Text?, alice.tagged("1"), nil as Text?),
        (alice, "reader", alice.tagged("1"), "writer"),
        (alice.tagged("1"), "writer", alice.tagged("2"), nil),
        (alice.tagged("1"), nil, alice.tagged("2"), "writer"),
        (alice.tagged("1"), nil, alice.tagged("2"), nil),
    ])
    func differentOwnersOfASessionQueue(
        holder: RequestID,
        itsOwner: Text?,
        waiter: RequestID,
        otherOwner: Text?
    ) {
        let table = TableFixture()
        table.acquire("db", by: holder, owner: itsOwner)
        #expect(table.acquire("db", by: waiter, owner: otherOwner) == [])
        #expect(table.release("db", by: alice).last == .granted("db", to: waiter, token: 2))
    }

    @Test(arguments: [
        (alice.tagged("1"), nil as Text?, nil as Text?), (alice, nil, "writer"), (alice, "writer", nil),
        (alice, "writer", "reader"),
    ])
    func untaggedRequestDoesNotQueueBehindItsOwnSession(holder: RequestID, itsOwner: Text?, otherOwner: Text?) {
        let table = TableFixture()
        table.acquire("db", by: holder, owner: itsOwner)
        let effects = table.acquire("db", by: alice, owner: otherOwner)
        guard case .sendDeadlock(alice, "db", _) = effects.first else {
            Issue.record("\(effects)")
            return
        }
        #expect(table.waiterCount == 0)
    }

    @Test func ownersOfTheSameNameInTwoSessionsAreTwo() {
        let table = TableFixture()
        table.acquire("db", by: alice, owner: "writer")
        #expect(table.acquire("db", by: bob, owner: "writer") == [])
        #expect(table.waiterCount == 1)
    }

    @Test func ownerThatAsksTwiceBeforeItIsGrantedHasTwoPlaces() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob.tagged("1"), owner: "writer")
        table.acquire("db", by: bob.tagged("2"), owner: "writer")
        #expect(
            table.release("db", by: alice)
                == [.released("db", to: alice, token: 1), .granted("db", to: bob.tagged("1"), token: 2)]
        )
        #expect(table.waiterCount == 1)
        #expect(table.release("db", by: bob).last == .granted("db", to: bob.tagged("2"), token: 3))
    }

    @Test func ownerOfAGrantedWaitHoldsTheLease() {
        let table = TableFixture()
        table.acquire("db", by: alice)
        table.acquire("db", by: bob, owner: "writer")
        table.release("db", by: alice)
        #expect(table.acquire("db", by: bob, owner: "writer") == [.held("db", by: bob, token: 2)])
    }
}
