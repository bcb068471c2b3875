import Testing

@testable import LockdCore

@Suite struct SlabTests {
    @Test func elementsAreFoundInTheirSlots() {
        var slab = Slab<String>()
        let slots = ["a", "b", "c"].map { slab.insert($0) }

        #expect(slots == [0, 1, 2])
        #expect(slots.map { slab[$0] } == ["a", "b", "c"])
        #expect(slab.slotCount == 3)
        #expect(slab.count == 3)
    }

    @Test func freedSlotIsUsedAgain() {
        var slab = Slab<String>()
        let slot = slab.insert("a")
        _ = slab.insert("b")
        slab.remove(at: slot)

        #expect(!slab.isOccupied(slot))
        #expect(slab.count == 1)
        #expect(slab.insert("c") == slot)
        #expect(slab[slot] == "c")
        #expect(slab.slotCount == 2)
        #expect(slab.count == 2)
    }

    @Test func slotsOutsideHoldNothing() {
        var slab = Slab<String>()
        #expect(!slab.isOccupied(0))
        let slot = slab.insert("a")
        #expect(slab.isOccupied(slot))
        #expect(!slab.isOccupied(1))
        #expect(!slab.isOccupied(-1))
    }

    @Test func occupiedSlotsComeInAscendingOrder() {
        var slab = Slab<Int>()
        for number in 0..<5 { _ = slab.insert(number) }
        slab.remove(at: 3)
        slab.remove(at: 0)
        #expect(Array(slab.occupiedSlots) == [1, 2, 4])
    }

    @Test func elementsChangeInPlace() {
        var slab = Slab<[Int]>()
        let slot = slab.insert([1])
        slab[slot].append(2)
        #expect(slab[slot] == [1, 2])
    }

    @Test func removedElementIsVacated() {
        final class Memory: Sendable {}
        struct Element: Vacatable {
            var memory: Memory?
            mutating func vacate() { memory = nil }
        }
        var slab = Slab<Element>()
        let slot = slab.insert(Element(memory: Memory()))
        weak let memory = slab[slot].memory
        #expect(memory != nil)
        slab.remove(at: slot)
        #expect(memory == nil)
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

extension String: Vacatable {
    mutating func vacate() { self = "" }
}

extension Int: Vacatable {
    mutating func vacate() { self = 0 }
}

extension Array: Vacatable where Element == Int {
    mutating func vacate() { self = [] }
}
