import Testing

@testable import LockdCore

@Suite struct SlabTests {
    @Test func elementsAreFoundInTheirSlots() {
        var slab = Slab<String>()
        let slots = ["a", "b", "c"].map { slab.insert($0) }

        #expect(slots == [0, 1, 2])
        #expect(slots.map { slab[$0] } == ["a", "b", "c"])
        #expect(slab.slotCount == 3)
    }

    @Test func freedSlotIsUsedAgain() {
        var slab = Slab<String>()
        let slot = slab.insert("a")
        _ = slab.insert("b")
        slab.remove(at: slot)

        #expect(slab.element(at: slot) == nil)
        #expect(slab.insert("c") == slot)
        #expect(slab[slot] == "c")
        #expect(slab.slotCount == 2)
    }

    @Test func slotsOutsideHoldNothing() {
        var slab = Slab<String>()
        #expect(slab.element(at: 0) == nil)
        let slot = slab.insert("a")
        #expect(slab.element(at: slot) == "a")
        #expect(slab.element(at: 1) == nil)
        #expect(slab.element(at: -1) == nil)
    }

    @Test func elementsChangeInPlace() {
        var slab = Slab<[Int]>()
        let slot = slab.insert([1])
        slab[slot].append(2)
        #expect(slab[slot] == [1, 2])
    }

    @Test func freeSlotCannotBeReadChangedOrFreed() async {
        await #expect(processExitsWith: .failure) {
            var slab = Slab<Int>()
            slab.remove(at: slab.insert(1))
            _ = slab[0]
        }
        await #expect(processExitsWith: .failure) {
            var slab = Slab<Int>()
            slab.remove(at: slab.insert(1))
            slab[0] += 1
        }
        await #expect(processExitsWith: .failure) {
            var slab = Slab<Int>()
            slab.remove(at: slab.insert(1))
            slab.remove(at: 0)
        }
    }
}
